export interface NormCase {
  readonly length: number;
  readonly eps: number;
  readonly gamma?: ArrayLike<number> | undefined;
  readonly beta?: ArrayLike<number> | undefined;
}

/** y = γ·(x − μ)/√(σ² + ε) + β, row by row. */
export function layerNormReference(x: ArrayLike<number>, { length, eps, gamma, beta }: NormCase): Float64Array {
  const y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += length) {
    let mean = 0;
    for (let j = 0; j < length; j++) mean += x[row + j]! / length;
    let variance = 0;
    for (let j = 0; j < length; j++) variance += (x[row + j]! - mean) ** 2 / length;
    for (let j = 0; j < length; j++) y[row + j] = ((x[row + j]! - mean) / Math.sqrt(variance + eps)) * (gamma?.[j] ?? 1) + (beta?.[j] ?? 0);
  }
  return y;
}

/** y = γ·x/√(mean(x²) + ε), row by row. */
export function rmsNormReference(x: ArrayLike<number>, { length, eps, gamma }: NormCase): Float64Array {
  const y = new Float64Array(x.length);
  for (let row = 0; row < x.length; row += length) {
    let meanSquare = 0;
    for (let j = 0; j < length; j++) meanSquare += x[row + j]! ** 2 / length;
    for (let j = 0; j < length; j++) y[row + j] = (x[row + j]! / Math.sqrt(meanSquare + eps)) * (gamma?.[j] ?? 1);
  }
  return y;
}
