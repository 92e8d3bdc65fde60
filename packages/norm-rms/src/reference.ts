/**
 * Root-mean-square normalisation (Zhang and Sennrich, 2019, arXiv:1910.07467, eq. 4), row by row in float64:
 * y = x / √(Σ x² / n + ε) · g.
 *
 * @param x     rows of `width` numbers
 * @param gain  g, `width` numbers
 */
export function rmsNormReference(x: Float64Array, width: number, gain: Float64Array, epsilon: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    const xs = x.subarray(row, row + width);
    const meanSquare = xs.reduce((sum, v) => sum + v * v, 0) / width;
    for (let i = 0; i < width; i++) y[row + i] = (xs[i]! / Math.sqrt(meanSquare + epsilon)) * gain[i]!;
  }
  return y;
}
