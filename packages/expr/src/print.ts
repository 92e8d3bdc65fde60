import type { Capture } from "./capture.ts";
import type { Expr } from "./expr.ts";
import { type Program, topological } from "./program.ts";
import type { OpName } from "./types.ts";

/** A program as the parts of a template: calling its front end with them gives a program with the same key. */
export interface Template {
  readonly strings: readonly string[];
  readonly holes: readonly Capture[];
}

const INFIX: Partial<Record<OpName, string>> = { add: "+", sub: "-", mul: "*", div: "/", mod: "%", lt: "<", le: "<=", eq: "==", and: "&&", or: "||" };

/** Stands for the n-th hole while text is assembled; no template contains it, since it is no character of the language. */
const HOLE = /\u0000(\d+)\u0000/;

/** A program as template text; shared subexpressions become definitions. */
export function printTemplate(program: Program): Template {
  const text = render(program, (capture) => `\u0000${program.captures.indexOf(capture)}\u0000`);
  const parts = text.split(HOLE);
  return {
    strings: parts.filter((_, i) => i % 2 === 0),
    holes: parts.filter((_, i) => i % 2 === 1).flatMap((slot) => program.captures[Number(slot)] ?? []),
  };
}

/** A program as one readable text, captures shown by name: for explanations and messages. */
export function printProgram(program: Program): string {
  return render(program, ({ name }) => `\${${name}}`);
}

function render(program: Program, hole: (capture: Capture) => string): string {
  const order = topological(program.outputs);
  const uses = new Map<Expr, number>();
  for (const used of order.flatMap((node) => node.args)) uses.set(used, (uses.get(used) ?? 0) + 1);
  const texts = new Map<Expr, string>();
  const definitions: string[] = [];
  const taken = new Set(Object.keys(program.vars));
  const fresh = (): string => {
    let n = definitions.length;
    while (taken.has(`t${n}`)) n++;
    taken.add(`t${n}`);
    return `t${n}`;
  };
  for (const node of order) {
    const args = node.args.map((arg) => texts.get(arg) ?? "");
    let text = nodeText(node, args, hole);
    if (node.args.length > 0 && (uses.get(node) ?? 0) > 1) {
      const name = fresh();
      definitions.push(`${name} = ${text};\n`);
      text = name;
    }
    texts.set(node, text);
  }
  return definitions.join("") + program.outputs.map((output) => texts.get(output) ?? "").join(", ");
}

function nodeText({ op, type, leaf }: Expr, args: readonly string[], hole: (capture: Capture) => string): string {
  switch (op) {
    case "const":
      return constantText(type, leaf.value ?? NaN);
    case "var":
      return leaf.name ?? "";
    case "load":
      return leaf.capture ? hole(leaf.capture) + (args.length > 0 ? `[${args.join(", ")}]` : "") : "";
    case "neg":
      return `(-(${args.join("")}))`;
    case "not":
      return `(!${args.join("")})`;
    case "select":
      return `(${args[0] ?? ""} ? ${args[1] ?? ""} : ${args[2] ?? ""})`;
    default: {
      const mark = INFIX[op];
      return mark ? `(${args.join(` ${mark} `)})` : `${op}(${args.join(", ")})`;
    }
  }
}

function constantText(type: Expr["type"], value: number): string {
  if (type === "bool") return value === 0 ? "false" : "true";
  const text = Object.is(value, -0) ? "-0" : value.toString();
  return type === "i32" || /[.e]/.test(text) ? text : `${text}.0`;
}
