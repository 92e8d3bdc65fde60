import type { ScalarType } from "../src/types.ts";
import type { Emitted } from "../src/wgsl.ts";
import { arithmetic } from "../src/arithmetic.ts";
import type { OpName } from "../src/types.ts";

interface Value {
  readonly type: ScalarType;
  readonly value: number;
}

const TOKEN = /\s*(?:(\d[\d.]*(?:e[+-]?\d+)?)([fi])|([A-Za-z_]\w*)|([<=]=|[-+*/%<!(),&|]))/y;

const INFIX: Readonly<Record<string, OpName>> = { "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "<": "lt", "<=": "le", "==": "eq", "&": "and", "|": "or" };

const CALLS: Readonly<Record<string, OpName>> = {
  abs: "abs", sign: "sign", min: "min", max: "max", pow: "pow", exp: "exp", exp2: "exp2", log: "log", log2: "log2", sqrt: "sqrt",
  inverseSqrt: "rsqrt", floor: "floor", ceil: "ceil", round: "round", f32: "f32", i32: "i32", expr_erf: "erf", expr_tanh: "tanh",
};

/** Where exp, exp2 and sigmoid are cut off: float64 does not overflow there, so it goes on without. */
const CUTOFFS: ReadonlySet<string> = new Set(["88.72", "127.99", "87.0"]);

/**
 * Runs emitted code in float64, under WGSL's rules for types: no implicit conversion, and infix operators only in brackets.
 * Tables are functions of one index. The emitter's own functions are taken at their word; a GPU holds them to it elsewhere.
 */
export function interpret({ statements, results }: Emitted, vars: Readonly<Record<string, Value>>, tables: Readonly<Record<string, (at: number) => Value>>): readonly Value[] {
  const scope = new Map(Object.entries(vars));
  for (const line of statements.split("\n").filter(Boolean)) {
    const [, name, text] = /^let (\w+) = (.*);$/.exec(line)!;
    scope.set(name!, new Reader(text!, scope, tables).all());
  }
  return results.map((result) => new Reader(result, scope, tables).all());
}

class Reader {
  readonly #tokens: { kind: "f" | "i" | "name" | "mark"; text: string }[] = [];
  readonly #scope: ReadonlyMap<string, Value>;
  readonly #tables: Readonly<Record<string, (at: number) => Value>>;
  #position = 0;

  constructor(text: string, scope: ReadonlyMap<string, Value>, tables: Readonly<Record<string, (at: number) => Value>>) {
    this.#scope = scope;
    this.#tables = tables;
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.length) {
      const start = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (!found) throw new Error(`not WGSL at ${start}: ${text}`);
      const [, number, suffix, name, mark] = found;
      this.#tokens.push(number === undefined ? { kind: name === undefined ? "mark" : "name", text: name ?? mark! } : { kind: suffix as "f" | "i", text: number });
    }
  }

  all(): Value {
    const value = this.#value();
    if (this.#position !== this.#tokens.length) throw new Error(`an infix operator outside brackets: ${JSON.stringify(this.#tokens)}`);
    return value;
  }

  #value(): Value {
    const { kind, text } = this.#tokens[this.#position++]!;
    if (kind === "f") return { type: "f32", value: CUTOFFS.has(text) ? Infinity : Math.fround(Number(text)) };
    if (kind === "i") return { type: "i32", value: checkedLiteral(Number(text)) };
    if (text === "true" || text === "false") return { type: "bool", value: Number(text === "true") };
    if (text === "-") return operate("neg", [this.#value()]);
    if (text === "!") return operate("not", [this.#value()]);
    if (text === "(") return this.#bracket();
    if (this.#tokens[this.#position]?.text !== "(") return this.#scope.get(text) ?? fail(`unknown name ${text}`);
    this.#position++;
    return this.#call(text, this.#list());
  }

  #bracket(): Value {
    const left = this.#value();
    const mark = this.#tokens[this.#position++]!.text;
    if (mark === ")") return left;
    const right = this.#value();
    if (this.#tokens[this.#position++]!.text !== ")") fail("two infix operators in one pair of brackets");
    const op = INFIX[mark] ?? fail(`unknown operator ${mark}`);
    return operate(mark === "/" && left.type === "i32" ? "idiv" : op, [left, right]);
  }

  #list(): Value[] {
    const items: Value[] = [];
    if (this.#tokens[this.#position]?.text === ")") this.#position++;
    else do items.push(this.#value());
      while (this.#tokens[this.#position++]!.text === ",");
    return items;
  }

  #call(name: string, args: readonly Value[]): Value {
    const table = this.#tables[name];
    if (table) return table(args[0]?.value ?? 0);
    if (name === "select") return operate("select", [args[2]!, args[1]!, args[0]!]);
    if (name === "expr_sin") return operate(args[1]!.value === 1 ? "cos" : "sin", [args[0]!]);
    return operate(CALLS[name] ?? fail(`unknown function ${name}`), args);
  }
}

function operate(op: OpName, args: readonly Value[]): Value {
  const [a, b, c] = args;
  const pair = op === "select" ? [b!, c!] : args;
  if (pair.some(({ type }) => type !== pair[0]!.type)) fail(`${op} of mixed types ${args.map(({ type }) => type).join(", ")}`);
  const type = ["lt", "le", "eq", "and", "or", "not"].includes(op) ? "bool" : op === "f32" || op === "i32" ? op : pair[0]!.type;
  return { type, value: arithmetic(op, a!.type)(a!.value, b?.value ?? 0, c?.value ?? 0) };
}

function checkedLiteral(value: number): number {
  return value > 2147483647 ? fail(`${value}i is no i32 literal`) : value;
}

function fail(message: string): never {
  throw new Error(message);
}
