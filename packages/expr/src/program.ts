import { Builder } from "./builder.ts";
import type { Capture } from "./capture.ts";
import { ExprError } from "./errors.ts";
import type { Expr, Like } from "./expr.ts";
import { nearest } from "./nearest.ts";
import type { ScalarType } from "./types.ts";

/** The variables of a program and their types, in the order they were declared. */
export type Vars = Readonly<Record<string, ScalarType>>;

/** A finished expression: what hooks, masks and activations are made of. Immutable. */
export interface Program {
  readonly kind: "program";
  readonly vars: Vars;
  readonly outputs: readonly Expr[];
  /** The type of the first output. */
  readonly type: ScalarType;
  /** The captures that the outputs read, each once, in the order of their slots. */
  readonly captures: readonly Capture[];
  /**
   * Names the structure: two programs with equal keys generate equal code. Captures enter by slot, shape and type, so
   * other data of the same shape does not recompile.
   */
  readonly key: string;
}

/**
 * Seals outputs into a program.
 *
 * @throws ExprError `EXPR_NAME` when an output uses a variable that is not declared, or declared with another type.
 */
export function program(vars: Vars, outputs: readonly Like[]): Program {
  const builder = Builder.of(outputs);
  const own = outputs.map((output) => builder.lift(output));
  const order = topological(own);
  const captures = [...new Set(order.flatMap(({ leaf }) => leaf.capture ?? []))];
  for (const { op, type, leaf } of order) if (op === "var") declared(vars, leaf.name ?? "", type);
  return Object.freeze({
    kind: "program",
    vars: Object.freeze({ ...vars }),
    outputs: Object.freeze(own),
    type: own[0]?.type ?? "f32",
    captures: Object.freeze(captures),
    key: structure(vars, own, order, captures),
  });
}

/** Whether a value is a program, by shape rather than by class. */
export function isProgram(value: unknown): value is Program {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "program";
}

/** Every node under the outputs once, operands before their users. */
export function topological(outputs: readonly Expr[]): readonly Expr[] {
  const order = new Set<Expr>();
  const visit = (node: Expr): void => {
    if (order.has(node)) return;
    node.args.forEach(visit);
    order.add(node);
  };
  outputs.forEach(visit);
  return [...order];
}

/** The names of the variables that an expression reads. */
export function variablesOf(...outputs: readonly Expr[]): readonly string[] {
  return topological(outputs).flatMap(({ op, leaf }) => (op === "var" && leaf.name !== undefined ? [leaf.name] : []));
}

/**
 * One program with the outputs of all, in order, sharing their common subexpressions (a value beside its derivatives).
 *
 * @throws ExprError `EXPR_NAME` when two programs declare a variable with different types.
 */
export function join(...programs: readonly Program[]): Program {
  return program(mergeVars(programs), programs.flatMap(({ outputs }) => outputs));
}

/**
 * The program with variables replaced: by another program's only output, an expression, or a number. Variables of the
 * replacements become variables of the result. Chaining score hooks is `substitute(second, { score: first })`.
 *
 * @throws ExprError `EXPR_NAME` on a name that is not a variable, `EXPR_TYPE` on a replacement of another type.
 */
export function substitute(target: Program, replacements: Readonly<Record<string, Program | Like>>): Program {
  const builder = Builder.of(target.outputs);
  const chosen = new Map<string, Expr>();
  const kept = Object.entries(target.vars).filter(([name]) => !Object.hasOwn(replacements, name));
  const vars = mergeVars([{ vars: Object.fromEntries(kept) }, ...Object.values(replacements).filter(isProgram)]);
  for (const [name, replacement] of Object.entries(replacements)) {
    const type = target.vars[name];
    if (type === undefined) throw unknownName(name, Object.keys(target.vars));
    chosen.set(name, conform(builder, name, type, replacement));
  }
  const loose = [...chosen.values()].flatMap((expr) => topological([expr]).filter(({ op }) => op === "var"));
  const all: Record<string, ScalarType> = { ...vars };
  for (const { leaf, type } of loose) all[leaf.name ?? ""] ??= type;
  const rewritten = new Map<Expr, Expr>();
  for (const node of topological(target.outputs)) {
    const own = builder.adopt(node);
    const replacement = node.op === "var" ? chosen.get(node.leaf.name ?? "") : undefined;
    rewritten.set(node, replacement ?? rebuild(builder, own, node.args.map((arg) => rewritten.get(arg) ?? arg)));
  }
  return program(all, target.outputs.map((output) => rewritten.get(output) ?? output));
}

function conform(builder: Builder, name: string, type: ScalarType, replacement: Program | Like): Expr {
  const source = isProgram(replacement) ? onlyOutput(replacement) : replacement;
  let lifted = builder.lift(source);
  if (type === "f32" && lifted.type === "i32") lifted = lifted.f32();
  if (lifted.type === type) return lifted;
  throw new ExprError("EXPR_TYPE", `variable '${name}' is ${type} and was replaced by ${lifted.type}; expected ${type}`, `replace it by a ${type} expression`);
}

function onlyOutput({ outputs }: Program): Expr {
  const [first] = outputs;
  if (first && outputs.length === 1) return first;
  throw new ExprError("EXPR_TYPE", `a program with ${outputs.length} outputs stands for one value; expected 1 output`, "choose one of its outputs");
}

/** A node over other operands: simplified anew, since a replacement may be a constant. */
function rebuild(builder: Builder, node: Expr, args: readonly Expr[]): Expr {
  if (args.every((arg, i) => arg === node.args[i])) return node;
  if (node.leaf.capture) return builder.load(node.leaf.capture, args);
  if (node.op === "const" || node.op === "var" || node.op === "load") return node;
  return builder.apply(node.op, args);
}

function mergeVars(programs: readonly Pick<Program, "vars">[]): Vars {
  const merged: Record<string, ScalarType> = {};
  for (const { vars } of programs) {
    for (const [name, type] of Object.entries(vars)) {
      const known = (merged[name] ??= type);
      if (known !== type) throw new ExprError("EXPR_NAME", `variable '${name}' is ${known} in one program and ${type} in another; expected one type`, "rename one of them");
    }
  }
  return merged;
}

function declared(vars: Vars, name: string, type: ScalarType): void {
  const known = Object.hasOwn(vars, name) ? vars[name] : undefined;
  if (known === undefined) throw unknownName(name, Object.keys(vars));
  if (known !== type) throw new ExprError("EXPR_NAME", `variable '${name}' is used as ${type}; it is declared ${known}`, "use variables of this program, or rename");
}

/** The error for a name nobody declared, with the nearest one that was. */
export function unknownName(name: string, known: readonly string[]): ExprError {
  const near = nearest(name, known);
  return new ExprError("EXPR_NAME", `unknown name '${name}'; expected one of ${known.join(", ") || "(none)"}`, near ? `did you mean '${near}'?` : "declare it, or pass its value as ${…}");
}

function structure(vars: Vars, outputs: readonly Expr[], order: readonly Expr[], captures: readonly Capture[]): string {
  const ids = new Map(order.map((node, id) => [node, id]));
  const refs = (nodes: readonly Expr[]): string => nodes.map((node) => ids.get(node)).join(",");
  const declarations = Object.entries(vars).map(([name, type]) => `${name}:${type}`);
  const tables = captures.map(({ shape, type, learned }) => `${type}[${shape.join(",")}]${learned ? "~" : ""}`);
  const nodes = order.map(({ op, type, args, leaf: { value, name, capture } }) => {
    const slot = capture ? `@${captures.indexOf(capture)}` : "";
    return `${op}:${type}(${refs(args)})${Object.is(value, -0) ? "-0" : (value ?? "")}${name ?? ""}${slot}`;
  });
  return `${declarations.join(" ")}|${tables.join(" ")}|${nodes.join(" ")}|${refs(outputs)}`;
}
