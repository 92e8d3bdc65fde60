const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** Below this a shader may read an f32 as zero. */
const SMALLEST_NORMAL = 2 ** -126;

/** A bound that no f32 reading of a number ≥ x falls below: the next f32 downwards, or 0 where it may be flushed. */
export function below(x: number): number {
  const near = Math.fround(x);
  const bound = near <= x ? near : neighbour(near, -1);
  return bound > 0 && bound < SMALLEST_NORMAL ? 0 : bound;
}

/** A bound that no f32 reading of a number ≤ x exceeds. */
export function above(x: number): number {
  return -below(-x) + 0;
}

/** The next f32 in a direction. */
export function neighbour(x: number, direction: 1 | -1): number {
  if (x === direction * Infinity) return x;
  float[0] = x;
  if (x === 0) bits[0] = direction > 0 ? 1 : -2147483647;
  else bits[0] = (bits[0] ?? 0) + (x > 0 === direction > 0 ? 1 : -1);
  return float[0];
}
