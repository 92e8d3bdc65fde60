import type { Tensor } from "../../tensor.ts";
import { contiguous } from "../../views.ts";
import { windowOf } from "./plan.ts";
import type { ProductOptions } from "./run.ts";

type Product = (a: Tensor, b: Tensor, options: ProductOptions) => Tensor;

/** Parts start at a multiple of these many rows, so that what reads four numbers at once may go on doing so. */
const STEP = 64;

/**
 * A product whose matrix B or C is larger than a binding (by default 128 MiB, and GPT-2's table has 147), made of products that are
 * not: of some columns each where B's memory runs through them, of some rows where C's does, and as a sum where K runs through B.
 *
 * @param product  makes one part, which may be too large along another axis
 * @returns undefined where everything can be bound, or where a part could be bound no better than the whole.
 */
export function inParts(a: Tensor, b: Tensor, options: ProductOptions, product: Product): Tensor | undefined {
  if (b.rank !== 2 || a.rank < 2 || options.batch !== undefined) return undefined;
  const { transA = false, transB = false } = options;
  const [kAxis, nAxis] = transB ? [1, 0] : [0, 1];
  if (!fits(b)) return b.strides[nAxis]! >= b.strides[kAxis]! ? byColumns(a, b, nAxis, options, product) : overK(a, b, kAxis, options, product);
  const shape = [...a.shape.slice(0, -2), a.shape.at(transA ? -1 : -2)!, b.shape[nAxis]!];
  const bytes = shape.reduce((size, n) => size * n, 4);
  if (a.rank !== 2 || bytes <= a.engine.gpu.caps.maxBindingBytes || (options.out !== undefined && fits(options.out))) return undefined;
  return byRows(a, b, shape, options, product);
}

const fits = (x: Tensor): boolean => windowOf(x).slice.size <= x.engine.gpu.caps.maxBindingBytes;

/** Some rows or columns of a matrix; of an f16 one too, which has no views elsewhere: they start at a whole word. */
function part(x: Tensor, axis: number, first: number, count: number): Tensor {
  return x.view({ shape: x.shape.map((n, i) => (i === axis ? count : n)), strides: x.strides, offset: x.offset + first * x.strides[axis]! });
}

/** Runs of an axis whose neighbours lie `stride` apart, each within a binding. */
function* runs(length: number, stride: number, x: { readonly dtype: Tensor["dtype"]; readonly engine: Tensor["engine"] }): Generator<{ readonly first: number; readonly count: number }> {
  // A window starts and ends at multiples of 256 bytes.
  const room = x.engine.gpu.caps.maxBindingBytes - 512;
  const most = Math.max(STEP, Math.floor(room / (stride * (x.dtype === "f16" ? 2 : 4)) / STEP) * STEP);
  for (let first = 0; first < length; first += most) yield { first, count: Math.min(most, length - first) };
}

function byColumns(a: Tensor, b: Tensor, axis: number, options: ProductOptions, product: Product): Tensor {
  const { engine } = a;
  const columns = b.shape[axis]!;
  const { bias, keep, residual, transA = false } = options;
  const out = options.out ?? engine.empty([...a.shape.slice(0, -2), a.shape.at(transA ? -1 : -2)!, columns]);
  for (const { first, count } of runs(columns, b.strides[axis]!, b)) {
    engine.scope(() => {
      const here = (x: Tensor): Tensor => x.narrow(x.rank - 1, first, count);
      const kept = keep && engine.empty([...keep.shape.slice(0, -1), count]);
      product(a, part(b, axis, first, count), {
        ...options,
        out: here(out),
        bias: bias && contiguous(here(bias)),
        residual: residual && contiguous(here(residual)),
        keep: kept,
      });
      if (keep && kept) engine.assign(here(keep), kept);
    });
  }
  return out;
}

function byRows(a: Tensor, b: Tensor, shape: readonly number[], options: ProductOptions, product: Product): Tensor | undefined {
  const { engine } = a;
  const [rows, columns] = shape as [number, number];
  const { keep, residual, transA = false } = options;
  const out = options.out ?? engine.empty(shape);
  for (const { first, count } of runs(rows, columns, out)) {
    engine.scope(() => {
      const here = (x: Tensor): Tensor => x.narrow(0, first, count);
      const kept = keep && engine.empty([count, columns]);
      product(a.narrow(transA ? 1 : 0, first, count), b, { ...options, out: here(out), residual: residual && contiguous(here(residual)), keep: kept });
      if (keep && kept) engine.assign(here(keep), kept);
    });
  }
  return out;
}

/** What follows the sum would be applied to every part of it, so only a plain product is made this way. */
function overK(a: Tensor, b: Tensor, axis: number, options: ProductOptions, product: Product): Tensor | undefined {
  const { bias, keep, residual, activation, transA = false, accumulate = false } = options;
  if (bias ?? keep ?? residual ?? activation) return undefined;
  const { engine } = a;
  const out = options.out ?? engine.empty([...a.shape.slice(0, -2), a.shape.at(transA ? -1 : -2)!, b.shape[1 - axis]!]);
  for (const { first, count } of runs(b.shape[axis]!, b.strides[axis]!, b)) {
    engine.scope(() => {
      product(a.narrow(a.rank - (transA ? 2 : 1), first, count), part(b, axis, first, count), { ...options, out, accumulate: accumulate || first > 0 });
    });
  }
  return out;
}
