import type { Capture } from "./capture.ts";
import { above, below } from "./f32.ts";
import { ANY_F32, ANY_I32, type Interval } from "./interval-value.ts";

/** Numbers whose least and greatest are kept together. */
const BLOCK = 16;
/** A box of more rows is read as the one run that spans it, which may only widen the answer. */
const MOST_RUNS = 64;

/** The least and the greatest of any run of a table, `first` to `last` included, in time that does not grow with the run. */
type Spans = (first: number, last: number) => Interval;

const cache = new WeakMap<Capture, { readonly version: number; readonly spans: Spans }>();

/**
 * The interval of what a table holds where each index lies in its interval; elements outside the table are not read.
 * What training changes, or a call brings, is not known from the capture.
 */
export function spanOf(capture: Capture, index: readonly Interval[]): Interval {
  const { data, shape, type, learned, version } = capture;
  const anything = type === "i32" ? ANY_I32 : ANY_F32;
  if (learned || data.length === 0) return anything;
  let known = cache.get(capture);
  if (known?.version !== version) cache.set(capture, (known = { version, spans: spansOf(data, type) }));
  const box = shape.map((extent, axis): readonly [number, number] => [Math.max(index[axis]?.lo ?? 0, 0), Math.min(index[axis]?.hi ?? 0, extent - 1)]);
  if (box.some(([lo, hi]) => lo > hi)) return anything;
  return overBox(shape, box, known.spans);
}

/** A box is a set of runs of neighbouring elements, one for each choice of the outer indices. */
function overBox(shape: readonly number[], box: readonly (readonly [number, number])[], spans: Spans): Interval {
  let inner = shape.length - 1;
  const isWhole = (axis: number): boolean => box[axis]?.[0] === 0 && box[axis][1] === (shape[axis] ?? 1) - 1;
  while (inner > 0 && isWhole(inner)) inner--;
  const offset = (side: 0 | 1): number => shape.reduce((sum, extent, axis) => sum * extent + (box[axis]?.[side] ?? 0), 0);
  const runs = box.slice(0, Math.max(inner, 0)).reduce((count, [lo, hi]) => count * (hi - lo + 1), 1);
  if (runs === 1 || runs > MOST_RUNS) return spans(offset(0), offset(1));
  let [lo, hi, nan] = [Infinity, -Infinity, false];
  const walk = (axis: number, first: number, last: number): void => {
    const extent = shape[axis] ?? 1;
    const [from, to] = box[axis] ?? [0, 0];
    if (axis < inner) {
      for (let at = from; at <= to; at++) walk(axis + 1, first * extent + at, last * extent + at);
    } else if (axis < shape.length) {
      walk(axis + 1, first * extent + from, last * extent + to);
    } else {
      const part = spans(first, last);
      lo = Math.min(lo, part.lo);
      hi = Math.max(hi, part.hi);
      nan ||= part.nan;
    }
  };
  walk(0, 0, 0);
  return { lo, hi, nan };
}

/** A sparse table over blocks: any run of blocks is two overlapping runs of 2ᵏ; its ragged ends are read one by one. */
function spansOf(numbers: ArrayLike<number>, type: "f32" | "i32"): Spans {
  const blocks = Math.ceil(numbers.length / BLOCK);
  const nan = type === "f32" && Array.prototype.some.call(numbers, (x) => Number.isNaN(x));
  const least = [blockwise(numbers, blocks, Math.min)];
  const greatest = [blockwise(numbers, blocks, Math.max)];
  for (let width = 1; 2 * width <= blocks; width *= 2) {
    least.push(doubled(least.at(-1)!, width, Math.min));
    greatest.push(doubled(greatest.at(-1)!, width, Math.max));
  }
  return (first, last) => {
    let [lo, hi] = [Infinity, -Infinity];
    const read = (start: number, end: number): void => {
      for (let i = start; i < end; i++) {
        const x = numbers[i] ?? NaN;
        if (x < lo) lo = x;
        if (x > hi) hi = x;
      }
    };
    const start = Math.ceil(first / BLOCK);
    const count = Math.floor((last + 1) / BLOCK) - start;
    if (count <= 0) {
      read(first, last + 1);
    } else {
      read(first, start * BLOCK);
      read((start + count) * BLOCK, last + 1);
      const level = 31 - Math.clz32(count);
      const end = start + count - 2 ** level;
      lo = Math.min(lo, least[level]?.[start] ?? NaN, least[level]?.[end] ?? NaN);
      hi = Math.max(hi, greatest[level]?.[start] ?? NaN, greatest[level]?.[end] ?? NaN);
    }
    if (lo > hi) return ANY_F32;
    return type === "i32" ? { lo, hi, nan: false } : { lo: below(lo), hi: above(hi), nan };
  };
}

type Fold = (a: number, b: number) => number;

/** NaN is left out: it is known of apart. */
function blockwise(numbers: ArrayLike<number>, blocks: number, fold: Fold): Float64Array {
  const neutral = fold(-Infinity, Infinity) < 0 ? Infinity : -Infinity;
  const out = new Float64Array(blocks).fill(neutral);
  for (let i = 0; i < numbers.length; i++) {
    const x = numbers[i] ?? NaN;
    const block = Math.floor(i / BLOCK);
    if (!Number.isNaN(x)) out[block] = fold(out[block] ?? neutral, x);
  }
  return out;
}

function doubled(row: Float64Array, width: number, fold: Fold): Float64Array {
  return Float64Array.from({ length: row.length - width }, (_, i) => fold(row[i] ?? NaN, row[i + width] ?? NaN));
}
