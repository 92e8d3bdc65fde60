/** x[n] = table[ids[n]]: rows of a table `[vocab, width]`, row-major. */
export function lookUp(ids: ArrayLike<number>, table: Float64Array, width: number): Float64Array {
  return Float64Array.from({ length: ids.length * width }, (_, i) => table[(ids[Math.floor(i / width)] ?? NaN) * width + (i % width)] ?? NaN);
}

/** U h for rows h of `hidden` `[N, width]` and U `[vocab, width]`: logits `[N, vocab]`. */
export function scoreTokens(hidden: Float64Array, table: Float64Array, width: number): Float64Array {
  const vocab = table.length / width;
  return Float64Array.from({ length: (hidden.length / width) * vocab }, (_, at) => {
    const [n, v] = [Math.floor(at / vocab), at % vocab];
    let dot = 0;
    for (let d = 0; d < width; d++) dot += (hidden[n * width + d] ?? NaN) * (table[v * width + d] ?? NaN);
    return dot;
  });
}
