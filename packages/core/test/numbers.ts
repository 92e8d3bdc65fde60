import { type Array64, array64 } from "../src/index.ts";

/** Seeded uniform numbers in (−1, 1), by shape (Park and Miller's minimal standard generator). */
export function randoms(seed: number): (shape: readonly number[]) => Array64 {
  let state = seed;
  const next = (): number => (state = (state * 16807) % 2147483647) / 1073741823.5 - 1;
  return (shape) => array64(Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next), shape);
}

/** Largest absolute difference; equal infinities differ by nothing, anything else beside a NaN or infinity by infinity. */
export function worst(a: Array64, b: Array64): number {
  if (a.shape.join() !== b.shape.join()) return Infinity;
  return a.data.reduce((max, x, i) => {
    const y = b.data[i] ?? NaN;
    const difference = x === y ? 0 : Math.abs(x - y);
    return Number.isNaN(difference) ? Infinity : Math.max(max, difference);
  }, 0);
}
