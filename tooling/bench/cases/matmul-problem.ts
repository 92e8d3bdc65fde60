import { randomArray } from "../random.ts";

/** C = A·B, square, f32, row-major. */
export interface MatmulProblem {
  readonly size: number;
  readonly a: Float32Array<ArrayBuffer>;
  readonly b: Float32Array<ArrayBuffer>;
  /** Products to launch one after the other before the last one is read: the read-back is not what is measured. */
  readonly products: number;
}

/** The problem of one size, with inputs in [-1, 1). */
export function matmulProblem(size: number, products: number): MatmulProblem {
  return { size, a: randomArray(size * size, 1), b: randomArray(size * size, 2), products };
}

/** The product in float64. */
export function referenceProduct(problem: MatmulProblem): Float64Array {
  const c = new Float64Array(problem.size ** 2);
  for (let row = 0; row < problem.size; row++) c.set(referenceRow(problem, row), row * problem.size);
  return c;
}

/** One row of it, in an order of loops that walks both B and the row in order. */
export function referenceRow({ size, a, b }: MatmulProblem, row: number): Float64Array {
  const into = new Float64Array(size);
  for (let k = 0; k < size; k++) {
    const scale = a[row * size + k] ?? NaN;
    const from = b.subarray(k * size, (k + 1) * size);
    for (let column = 0; column < size; column++) into[column]! += scale * from[column]!;
  }
  return into;
}

/** Largest deviation from `want`, relative to the largest entry of `want`; NaN when any entry is, or a length differs. */
export function relativeError(got: Float32Array, want: Float64Array): number {
  if (got.length !== want.length) return NaN;
  let worst = 0;
  let scale = 0;
  for (let i = 0; i < want.length; i++) {
    const value = want[i] ?? NaN;
    worst = Math.max(worst, Math.abs((got[i] ?? NaN) - value));
    scale = Math.max(scale, Math.abs(value));
  }
  return worst / scale;
}
