/** exp(x − max)/Σ, or its logarithm, row by row; a row of −∞ has softmax 0. */
export function softmaxReference(x: ArrayLike<number>, length: number, log = false): Float64Array {
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += length) {
    const row = Array.from({ length }, (_, j) => x[start + j]!);
    const peak = Math.max(...row);
    const total = row.reduce((sum, v) => sum + Math.exp(v - peak), 0);
    row.forEach((v, j) => {
      if (peak === -Infinity) y[start + j] = log ? -Infinity : 0;
      else y[start + j] = log ? v - peak - Math.log(total) : Math.exp(v - peak) / total;
    });
  }
  return y;
}

/** −log softmax(x)[target], row by row; 0 where the target is `ignore`. */
export function crossEntropyReference(x: ArrayLike<number>, length: number, targets: ArrayLike<number>, ignore = -100): Float64Array {
  const log = softmaxReference(x, length, true);
  return Float64Array.from(targets, (target, row) => (target === ignore ? 0 : -log[row * length + target]!));
}
