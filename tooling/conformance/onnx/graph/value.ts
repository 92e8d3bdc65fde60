import { capture, type Capture } from "@polyhead/core";
import type { Expr, Like, OpName } from "@polyhead/expr";
import { UnsupportedCase } from "../../unsupported.ts";
import { kindOf, type ElementType } from "./element.ts";
import type { Stored } from "./subgraph.ts";

/** An index along one axis. */
export type Index = Expr<"i32">;

/** What a program is built of. */
export interface Scope {
  readonly score: Expr<"f32">;
  /** Batch row, head, query and key. */
  readonly place: readonly Index[];
  readonly apply: (op: OpName, operands: readonly Like[]) => Expr;
}

/** One element as an expression. −∞ has no literal, so where a float is −∞ is a condition of its own. */
export interface Cell {
  readonly value: Expr;
  /** Where this holds, the element is −∞, whatever `value` says. */
  readonly masked?: Expr<"bool">;
}

/**
 * A tensor of a subgraph. It is never computed as a whole on the GPU: an element of it is an expression of its index, and
 * so an element of the result is one expression of b, h, q and kv.
 */
export interface Value {
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Its numbers, row by row, as ONNX computes them; undefined where they depend on the scores. */
  readonly data: (() => Float64Array) | undefined;
  readonly at: (index: readonly Index[], scope: Scope) => Cell;
}

/** How an operator says what it gives. */
export interface Draft extends Value {
  /**
   * Whether `at` gives the very numbers of `data`, as sums and comparisons of integers do. If not (a GPU's logarithm may
   * land on the other side of a `Floor`), the numbers are captured as a table instead, where there are any.
   */
  readonly exact: boolean;
}

/** Integers on the GPU. */
const I32 = 2 ** 31;

/** Whether the GPU can compute with all of its numbers. */
export const fitsI32 = ({ type, data }: Pick<Value, "type" | "data">): boolean =>
  kindOf(type) !== "int" || data === undefined || data().every((x) => x >= -I32 && x < I32);

export const sizeOf = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

export const show = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

export const literal = (scope: Scope, type: "float" | "int", value: number): Expr => scope.apply(type === "float" ? "f32" : "i32", [value]);

export const truth = (scope: Scope, value: boolean): Expr<"bool"> => scope.apply("not", [!value]) as Expr<"bool">;

/** An operator's result, with each element built once however often it is read. */
export function computed({ type, shape, data, exact, at }: Draft): Value {
  const numbers = data && once(data);
  if (numbers !== undefined && !(exact && fitsI32({ type, data: numbers }))) return constant({ type, shape, numbers: numbers() });
  return { type, shape, data: numbers, at: remembering(at) };
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

function remembering(at: Value["at"]): Value["at"] {
  const known = new WeakMap<Scope, { readonly index: readonly Index[]; readonly cell: Cell }[]>();
  return (index, scope) => {
    let cells = known.get(scope);
    if (cells === undefined) known.set(scope, (cells = []));
    const found = cells.find((one) => one.index.every((x, axis) => x === index[axis]));
    if (found !== undefined) return found.cell;
    const cell = at(index, scope);
    cells.push({ index, cell });
    return cell;
  };
}

/** The scores themselves, which can only be read where they are: an element of the result sees no other score. */
export function scores(type: ElementType, shape: readonly number[]): Value {
  return {
    type,
    shape,
    data: undefined,
    at: (index, scope) => {
      const moved = index.findIndex((x, axis) => shape[axis] !== 1 && x !== scope.place[axis]);
      if (moved < 0) return { value: scope.score };
      throw new UnsupportedCase(`a subgraph that reads the scores at another place along axis ${moved}; an element may depend on its own score alone`);
    },
  };
}

/** A tensor of known numbers: a literal where they are all one, arithmetic of the index where they are that, else a table. */
export function constant({ type, shape, numbers }: Stored): Value {
  const kind = kindOf(type);
  const [first] = numbers;
  const uniform = numbers.every((x) => Object.is(x, first));
  const slopes = once(() => slopesOf(shape, numbers));
  const values = once(() => tableOf(shape, kind === "float" ? Float64Array.from(numbers, (x) => (x === -Infinity ? 0 : plain(x))) : whole(numbers)));
  const masks = once(() => tableOf(shape, Int32Array.from(numbers, (x) => Number(x === -Infinity))));
  const at: Value["at"] = (index, scope) => {
    if (first === undefined) throw new UnsupportedCase(`reading a tensor of shape ${show(shape)}`);
    const entry = (table: Capture): Expr => table.at(...index.filter((_, axis) => shape[axis]! > 1));
    if (kind === "bool") return { value: uniform ? truth(scope, first !== 0) : entry(values()).ne(0) };
    if (uniform && first === -Infinity) return { value: literal(scope, "float", 0), masked: truth(scope, true) };
    if (uniform) return { value: literal(scope, kind, plain(first)) };
    const steps = slopes();
    if (steps !== undefined) return { value: ramp(first, steps, index, scope, kind) };
    return { value: entry(values()), ...(numbers.includes(-Infinity) && { masked: entry(masks()).ne(0) }) };
  };
  return { type, shape, data: () => numbers, at };
}

/** @throws UnsupportedCase for what is neither finite nor −∞. */
function plain(value: number): number {
  if (Number.isFinite(value)) return value;
  throw new UnsupportedCase(`the number ${value} in a subgraph`);
}

function whole(numbers: Float64Array): Int32Array {
  if (numbers.every((x) => x >= -I32 && x < I32)) return Int32Array.from(numbers);
  throw new UnsupportedCase("integers beyond 32 bits in a subgraph");
}

/** Axes of one entry are left out of a table's index. */
const tableOf = (shape: readonly number[], data: Float64Array | Int32Array): Capture => capture(data, shape.filter((n) => n > 1), { name: "table" });

/** Steps along each axis, where the numbers are whole and `numbers[index] = numbers[0] + Σ step · index`: a range, and what is made of ranges. */
function slopesOf(shape: readonly number[], numbers: Float64Array): readonly number[] | undefined {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const [first = NaN] = numbers;
  const steps = shape.map((n, axis) => (n > 1 ? numbers[strides[axis]!]! - first : 0));
  // A float of more than 24 bits is not what the sum of integers would give.
  const small = (x: number): boolean => Number.isInteger(x) && Math.abs(x) < 2 ** 24;
  const straight = numbers.every((x, i) => small(x) && x === shape.reduce((sum, n, axis) => sum + steps[axis]! * (Math.floor(i / strides[axis]!) % n), first));
  return straight ? steps : undefined;
}

function ramp(first: number, steps: readonly number[], index: readonly Index[], scope: Scope, kind: "float" | "int"): Expr {
  const sum = steps.reduce<Expr>((so, step, axis) => (step === 0 ? so : scope.apply("add", [so, scope.apply("mul", [index[axis]!, step])])), literal(scope, "int", first));
  return kind === "float" ? scope.apply("f32", [sum]) : sum;
}
