/**
 * Weight tying (Press and Wolf, 2017, arXiv:1608.05859): one table U [vocab, width] maps a token to its vector and,
 * transposed, a hidden state to its logits: x = U[id],  logits = U h.
 */
export function embedReference(ids: ArrayLike<number>, table: Float64Array, width: number): Float64Array {
  return Float64Array.from({ length: ids.length * width }, (_, i) => table[ids[Math.floor(i / width)]! * width + (i % width)]!);
}

/** logits = U h for rows h of `hidden` [N, width] → [N, vocab]. */
export function logitsReference(hidden: Float64Array, table: Float64Array, width: number): Float64Array {
  const vocab = table.length / width;
  const rows = hidden.length / width;
  const logits = new Float64Array(rows * vocab);
  for (let n = 0; n < rows; n++) {
    for (let v = 0; v < vocab; v++) {
      let dot = 0;
      for (let d = 0; d < width; d++) dot += hidden[n * width + d]! * table[v * width + d]!;
      logits[n * vocab + v] = dot;
    }
  }
  return logits;
}
