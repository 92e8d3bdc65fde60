import type { Capture } from "./capture.ts";
import { ExprError } from "./errors.ts";
import type { Expr } from "./expr.ts";
import { type Program, topological, unknownName } from "./program.ts";
import type { OpName } from "./types.ts";
import { HELPERS, type HelperName } from "./wgsl-helpers.ts";
import { I32_MIN } from "./arithmetic.ts";

/** What emission needs of the kernel it is woven into. */
export interface EmitOptions {
  /** WGSL that reads a capture at these WGSL i32 expressions, one an axis; {@link linearIndex} flattens them. */
  readonly read?: (capture: Capture, index: readonly string[]) => string;
  /** WGSL for each variable: a name, or any expression of its type without side effects. */
  readonly vars: Readonly<Record<string, string>>;
  /** Starts the names of generated locals; give each program of one scope its own. Default `t`. */
  readonly prefix?: string;
}

/** WGSL for a program. */
export interface Emitted {
  /** `let` statements for what is used more than once, one a line; may be empty. */
  readonly statements: string;
  /** One expression an output, to be used after the statements. */
  readonly results: readonly string[];
  /** Module-scope functions that the code calls, by name: merge the records of several programs, print each once. */
  readonly helpers: Readonly<Record<string, string>>;
}

/** Deeper nesting than this gets a name, since shader compilers bound the depth of one expression. */
const DEEPEST = 24;

/**
 * A program as WGSL. Needs no extension; arithmetic is f32 and i32.
 *
 * Overflow never yields an infinity that could become NaN: tanh and sigmoid are cut off where they are flat, exp saturates
 * at 88.72 and exp2 at 127.99, just below the largest f32. erf, tanh, sin and cos are functions of our own, since drivers
 * are right only to 1e-4 there; min and max of NaN are whatever the driver does.
 *
 * @throws ExprError `EXPR_INPUT` when a variable, or a reader for captures, is missing.
 */
export function emitWgsl(program: Program, { read, vars, prefix = "t" }: EmitOptions): Emitted {
  const order = topological(program.outputs);
  const uses = new Map<Expr, number>();
  for (const used of [...order.flatMap((node) => node.args), ...program.outputs]) uses.set(used, (uses.get(used) ?? 0) + 1);
  const texts = new Map<Expr, string>();
  const depths = new Map<Expr, number>();
  const statements: string[] = [];
  const helpers: Record<string, string> = {};
  for (const node of order) {
    const args = node.args.map((arg) => texts.get(arg) ?? "");
    let text = leafText(node, args, vars, read) ?? apply(node, args, helpers);
    let depth = 1 + Math.max(0, ...node.args.map((arg) => depths.get(arg) ?? 0));
    if (isWorthNaming(node) && ((uses.get(node) ?? 0) > 1 || depth > DEEPEST)) {
      const name = `${prefix}${statements.length}`;
      statements.push(`let ${name} = ${text};`);
      [text, depth] = [name, 0];
    }
    texts.set(node, text);
    depths.set(node, depth);
  }
  return { statements: statements.join("\n"), results: program.outputs.map((output) => texts.get(output) ?? ""), helpers };
}

/** The row-major offset of these WGSL i32 indices, as a WGSL `u32` expression. */
export function linearIndex(shape: readonly number[], index: readonly string[]): string {
  const [first = "0i", ...rest] = index;
  const flat = rest.reduce((offset, at, axis) => `(${offset} * ${(shape[axis + 1] ?? 1)}i + ${at})`, first);
  return `u32(${flat})`;
}

/** A finite number as a WGSL f32 literal that reads back as exactly the nearest f32, in the fewest digits. */
export function floatLiteral(value: number): string {
  const wanted = Math.fround(value);
  let digits = 1;
  while (Math.fround(Number(wanted.toPrecision(digits))) !== wanted) digits++;
  const text = Object.is(wanted, -0) ? "-0" : Number(wanted.toPrecision(digits)).toString();
  const literal = `${/[.e]/.test(text) ? text : `${text}.0`}f`;
  return literal.startsWith("-") ? `(${literal})` : literal;
}

function isWorthNaming({ op }: Expr): boolean {
  return op !== "const" && op !== "var";
}

function leafText(node: Expr, args: readonly string[], vars: EmitOptions["vars"], read: EmitOptions["read"]): string | undefined {
  const { op, type, leaf } = node;
  if (op === "const") return literal(type, leaf.value ?? NaN);
  if (op === "var") return Object.hasOwn(vars, leaf.name ?? "") ? vars[leaf.name ?? ""] : missing(leaf.name ?? "", Object.keys(vars));
  if (!leaf.capture) return undefined;
  if (read) return read(leaf.capture, args);
  throw new ExprError("EXPR_INPUT", `the program reads capture '${leaf.capture.name}' and no reader was given; expected read(capture, index)`, "pass read to emitWgsl");
}

function missing(name: string, given: readonly string[]): never {
  throw new ExprError("EXPR_INPUT", unknownName(name, given).summary, `pass WGSL for '${name}' in vars`);
}

function literal(type: Expr["type"], value: number): string {
  if (type === "bool") return value === 0 ? "false" : "true";
  if (type === "f32") return floatLiteral(value);
  // The literal 2147483648i does not exist, so its negation cannot be written.
  if (value === I32_MIN) return "(-2147483647i - 1i)";
  return value < 0 ? `(${value}i)` : `${value}i`;
}

function apply(node: Expr, args: readonly string[], helpers: Record<string, string>): string {
  const [a, b, c] = args as [string, string, string];
  const op = node.op as OpName;
  const helper = HELPER_OF[op];
  if (helper) helpers[helper] = HELPERS[helper];
  return FORMS[op](a, b, c);
}

type Form = (a: string, b: string, c: string) => string;

const HELPER_OF: Partial<Record<OpName, HelperName>> = { erf: "expr_erf", sin: "expr_sin", cos: "expr_sin", tanh: "expr_tanh" };

const infix =
  (mark: string): Form =>
  (a, b) =>
    `(${a} ${mark} ${b})`;

const call =
  (name: string): Form =>
  (a) =>
    `${name}(${a})`;

const FORMS: Readonly<Record<OpName, Form>> = {
  add: infix("+"),
  sub: infix("-"),
  mul: infix("*"),
  div: infix("/"),
  idiv: infix("/"),
  mod: infix("%"),
  lt: infix("<"),
  le: infix("<="),
  eq: infix("=="),
  // Not && and ||: those are branches, and compilers copy branches wherever the program is woven in.
  and: infix("&"),
  or: infix("|"),
  neg: (a) => `(-${a})`,
  not: (a) => `(!${a})`,
  min: (a, b) => `min(${a}, ${b})`,
  max: (a, b) => `max(${a}, ${b})`,
  pow: (a, b) => `pow(${a}, ${b})`,
  select: (condition, a, b) => `select(${b}, ${a}, ${condition})`,
  abs: call("abs"),
  sign: call("sign"),
  exp: (a) => `exp(min(${a}, 88.72f))`,
  exp2: (a) => `exp2(min(${a}, 127.99f))`,
  log: call("log"),
  log2: call("log2"),
  sqrt: call("sqrt"),
  rsqrt: call("inverseSqrt"),
  tanh: call("expr_tanh"),
  sigmoid: (a) => `(1.0f / (1.0f + exp(min(-${a}, 87.0f))))`,
  erf: call("expr_erf"),
  sin: (a) => `expr_sin(${a}, 0i)`,
  cos: (a) => `expr_sin(${a}, 1i)`,
  floor: call("floor"),
  ceil: call("ceil"),
  round: call("round"),
  f32: call("f32"),
  i32: call("i32"),
};
