/**
 * Layer normalisation (Ba, Kiros and Hinton, 2016, arXiv:1607.06450, eq. 3 and 4), row by row in float64:
 * μ = Σ x / n,  σ² = Σ (x − μ)² / n,  y = (x − μ) / √(σ² + ε) · g + b.
 *
 * @param x      rows of `width` numbers
 * @param gain   g, `width` numbers
 * @param bias   b, `width` numbers; none means 0
 */
export function layerNormReference(x: Float64Array, width: number, gain: Float64Array, bias: Float64Array | undefined, epsilon: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += width) {
    const xs = x.subarray(row, row + width);
    const mu = xs.reduce((sum, v) => sum + v, 0) / width;
    const variance = xs.reduce((sum, v) => sum + (v - mu) ** 2, 0) / width;
    for (let i = 0; i < width; i++) y[row + i] = ((xs[i]! - mu) / Math.sqrt(variance + epsilon)) * gain[i]! + (bias?.[i] ?? 0);
  }
  return y;
}
