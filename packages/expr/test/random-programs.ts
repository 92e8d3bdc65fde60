import { arithmetic } from "../src/arithmetic.ts";
import { Builder } from "../src/builder.ts";
import type { Capture } from "../src/capture.ts";
import { ExprError } from "../src/errors.ts";
import type { Expr } from "../src/expr.ts";
import { OPS, type OpName, type ScalarType } from "../src/types.ts";

/** A program before any simplification: what the simplified one is held against. */
export interface Tree {
  readonly op: OpName | "const" | "var" | "load";
  readonly type: ScalarType;
  readonly args: readonly Tree[];
  readonly value?: number;
  readonly name?: string;
  readonly capture?: Capture;
}

/** Mulberry32: a small generator whose runs can be repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

/** What programs are made of. */
export interface Grammar {
  readonly vars: Readonly<Record<string, ScalarType>>;
  readonly captures: readonly Capture[];
  readonly ops: readonly OpName[];
}

export const EVERY_OP: readonly OpName[] = Object.keys(OPS) as OpName[];

/** Operators that are smooth and tame, so that f32 rounding cannot be blown up. */
export const SMOOTH_OPS: readonly OpName[] = ["add", "sub", "mul", "neg", "tanh", "sigmoid", "sin", "cos", "erf", "min", "max"];

const NUMBERS: readonly ScalarType[] = ["f32", "i32"];

/** A random well-typed tree of the given type. */
export function randomTree(random: Random, grammar: Grammar, type: ScalarType, depth: number): Tree {
  const fitting = depth > 0 && random.next() > 0.1 ? grammar.ops.filter((op) => gives(op, type)) : [];
  if (fitting.length === 0) return randomLeaf(random, grammar, type);
  const op = random.pick(fitting);
  return { op, type, args: operandTypes(random, op, type).map((operand) => randomTree(random, grammar, operand, depth - 1)) };
}

/** The tree through the builder, or undefined when it holds a constant that no shader may hold. */
export function build(builder: Builder, tree: Tree): Expr | undefined {
  try {
    return construct(builder, tree);
  } catch (error) {
    if (error instanceof ExprError && (error.code === "EXPR_CONSTANT" || error.code === "EXPR_BOUNDS")) return undefined;
    throw error;
  }
}

/** The tree's value, operator by operator, nothing simplified. */
export function valueOf(tree: Tree, env: Readonly<Record<string, number>>): number {
  const [first] = tree.args;
  if (tree.op === "const") return tree.value!;
  if (tree.op === "var") return env[tree.name!]!;
  if (tree.op === "load") return tree.capture!.data[first ? valueOf(first, env) : 0]!;
  const [a = 0, b = 0, c = 0] = tree.args.map((arg) => valueOf(arg, env));
  return arithmetic(tree.op, first!.type)(a, b, c);
}

const EXTREMES = [-2147483648, -2147483647, -65537, -7, -1, 46341, 1073741824, 2147483646, 2147483647];

/** Values for the variables: small ones, and integers that overflow when `wide`. */
export function randomEnv(random: Random, vars: Grammar["vars"], wide = false): Record<string, number> {
  const integer = (): number => (wide && random.next() < 0.3 ? random.pick(EXTREMES) : random.below(12));
  return Object.fromEntries(Object.entries(vars).map(([name, type]) => [name, type === "f32" ? Math.fround(random.next() * 4 - 2) : type === "bool" ? random.below(2) : integer()]));
}

function construct(builder: Builder, tree: Tree): Expr {
  if (tree.op === "const") return tree.type === "bool" ? builder.constant(tree.value === 1) : builder.constant(tree.value!, tree.type);
  if (tree.op === "var") return builder.variable(tree.name!, tree.type);
  const args = tree.args.map((arg) => construct(builder, arg));
  return tree.op === "load" ? builder.load(tree.capture!, args) : builder.apply(tree.op, args);
}

function randomLeaf(random: Random, { vars, captures }: Grammar, type: ScalarType): Tree {
  const names = Object.keys(vars).filter((name) => vars[name] === type);
  const tables = captures.filter((capture) => capture.type === type);
  const kind = random.next();
  if (kind < 0.2 && tables.length > 0) {
    const capture = random.pick(tables);
    // A remainder of a size, made positive, keeps the index inside.
    const size: Tree = { op: "const", type: "i32", args: [], value: capture.data.length };
    const integer = (op: "mod" | "add", ...args: readonly Tree[]): Tree => ({ op, type: "i32", args });
    const name = random.pick(Object.keys(vars).filter((each) => vars[each] === "i32"));
    const index = integer("mod", integer("add", integer("mod", { op: "var", type: "i32", args: [], name }, size), size), size);
    return { op: "load", type, args: capture.shape.length === 0 ? [] : [index], capture };
  }
  if (kind < 0.65 && names.length > 0) return { op: "var", type, args: [], name: random.pick(names) };
  const value = type === "bool" ? random.below(2) : type === "i32" ? random.pick([0, 1, 2, 3, 7, -1, -5, 65536, 2147483647, -2147483648]) : random.pick([0, -0, 1, 0.5, -2, 3, 0.1, 1.7, -4, 100].map(Math.fround));
  return { op: "const", type, args: [], value };
}

function gives(op: OpName, type: ScalarType): boolean {
  switch (OPS[op].takes) {
    case "number":
      return type !== "bool";
    case "float":
      return type === "f32";
    case "integer":
      return type === "i32";
    case "convert":
      return type === op;
    case "select":
      return true;
    default:
      return type === "bool";
  }
}

function operandTypes(random: Random, op: OpName, type: ScalarType): readonly ScalarType[] {
  const { arity, takes } = OPS[op];
  if (takes === "select") return ["bool", type, type];
  if (takes === "convert") return [random.pick((["f32", "i32", "bool"] as const).filter((each) => each !== type))];
  const operand = takes === "compare" ? random.pick(NUMBERS) : takes === "equal" ? random.pick([...NUMBERS, "bool" as const]) : takes === "logic" ? "bool" : type;
  return Array.from({ length: arity }, () => operand);
}
