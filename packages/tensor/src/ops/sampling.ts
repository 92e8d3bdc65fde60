import type { Scalar } from "@polyhead/gpu";
import { shapeError, showShape } from "../errors.ts";
import { drawOf, pickOf, topKOf } from "../kernels/sampling.ts";
import { requireF32, requireIndices } from "../operands.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

/** Rows that one axis of a grid holds. */
const MOST_ROWS = 65_535;

/** @throws TensorError `TENSOR_SHAPE` unless `x` is [N, V], with as many rows as a grid holds. */
export function rowsOf(x: Tensor, operator: string): readonly [rows: number, length: number] {
  const [rows = 0, length = 0] = x.shape;
  if (x.rank !== 2 || length === 0 || rows > MOST_ROWS) shapeError(`${operator} of shape ${showShape(x.shape)}`, `give [N, V] with at most ${MOST_ROWS} rows and at least one column`);
  return [rows, length];
}

/**
 * The `count` largest entries of every row, largest first; equal ones by lower index. NaN is never chosen: where a row has
 * fewer numbers than asked for, the rest is −∞ with the index 0xffffffff. The time grows with `count`; `samplingWeights` cuts a
 * distribution to any number of entries in the same time. No gradient.
 *
 * @param x  [N, V], f32
 * @returns `values` f32 and `indices` u32, both [N, count]
 */
export function topK(x: Tensor, count: number): { readonly values: Tensor; readonly indices: Tensor } {
  requireF32(x, "topK");
  const [rows, length] = rowsOf(x, "topK");
  if (!(Number.isInteger(count) && count >= 1 && count <= length)) shapeError(`topK(${count}) of shape ${showShape(x.shape)}`, `ask for 1 to ${length} entries`);
  return x.engine.noGrad(() => x.engine.scope(() => topKOf(contiguous(x), rows, length, count)));
}

/** Index of the largest entry of every row of [N, V]: u32 [N]; the lowest one among equals, 0xffffffff in a row of NaN. */
export function argmax(x: Tensor): Tensor {
  return x.engine.noGrad(() => x.engine.scope(() => topK(x, 1).indices.reshape([x.shape[0]!])));
}

export interface MultinomialOptions {
  readonly seed: number;
  /** Another stream of the seed gives independent draws. */
  readonly stream: Scalar;
  /** Number of the first row, default 0: a row draws the same whatever stands beside it. */
  readonly firstRow?: number;
}

/**
 * Draws one index from every row of weights, by inverting the cumulative sum at a Philox number: row r's is
 * Philox(stream, firstRow + r; seed).
 *
 * @param weights  [N, V], f32, at least 0; rows need not sum to 1
 * @returns u32 [N]; 0xffffffff for a row whose weights have no positive, finite sum
 */
export function multinomial(weights: Tensor, { seed, stream, firstRow = 0 }: MultinomialOptions): Tensor {
  requireF32(weights, "multinomial");
  const [rows, length] = rowsOf(weights, "multinomial");
  const { engine } = weights;
  return engine.noGrad(() => engine.scope(() => drawOf(contiguous(weights), rows, length, { seed, stream, firstRow })));
}

/** table[n, place[n]] for every row: u32 [N, K] and u32 [N] → u32 [N]; a place past the row gives 0xffffffff. */
export function pick(table: Tensor, place: Tensor): Tensor {
  requireIndices(table, "pick");
  requireIndices(place, "pick");
  const [rows, length] = rowsOf(table, "pick");
  if (place.size !== rows) shapeError(`pick from ${showShape(table.shape)} at ${showShape(place.shape)}`, "give one place for every row");
  return table.engine.noGrad(() => table.engine.scope(() => pickOf(contiguous(table), contiguous(place), rows, length)));
}
