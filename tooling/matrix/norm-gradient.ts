import type { NormLayer, Params64, TensorLike } from "@polyhead/core";

const STEP = Math.cbrt(Number.EPSILON);

/**
 * Gradients of Σ norm(x) · g by x and by the norm's parameters, by central differences in float64 (error about 1e-10): a norm
 * states its formula alone, and rows do not touch each other.
 *
 * @param x  rows of `width` numbers
 */
export function normGradient(norm: Pick<NormLayer<TensorLike>, "reference">, x: Float64Array, width: number, params: Params64, g: Float64Array): { readonly x: Float64Array; readonly params: Params64 } {
  const dx = new Float64Array(x.length);
  const slopes: Record<string, Float64Array> = Object.fromEntries(Object.entries(params).map(([name, values]) => [name, new Float64Array(values.length)]));
  for (let row = 0; row < x.length; row += width) {
    const xs = x.slice(row, row + width);
    const gs = g.subarray(row, row + width);
    const value = (): number => norm.reference(xs, width, params).reduce((sum, y, i) => sum + y * gs[i]!, 0);
    xs.forEach((_, i) => { dx[row + i] = slope(xs, i, value); });
    for (const [name, values] of Object.entries(params)) values.forEach((_, i) => { slopes[name]![i]! += slope(values, i, value); });
  }
  return { x: dx, params: slopes };
}

/** ∂f/∂at[i]; `at` is as it was afterwards. */
function slope(at: Float64Array, i: number, f: () => number): number {
  const middle = at[i]!;
  const h = STEP * Math.max(1, Math.abs(middle));
  at[i] = middle + h;
  const [up, above] = [at[i], f()];
  at[i] = middle - h;
  const [down, below] = [at[i], f()];
  at[i] = middle;
  return (above - below) / (up - down);
}
