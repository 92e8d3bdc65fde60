import { expect } from "vitest";

/** Largest |got − want| relative to the largest |want| (at least 1e-3); infinities and NaN must agree exactly. */
export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  expect(got.length).toBe(want.length);
  let worst = 0;
  let scale = 1e-3;
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [got[i]!, want[i]!];
    if (!Number.isFinite(b) || !Number.isFinite(a)) {
      if (!Object.is(a, b)) return Infinity;
      continue;
    }
    worst = Math.max(worst, Math.abs(a - b));
    scale = Math.max(scale, Math.abs(b));
  }
  return worst / scale;
}

/** Numbers that look random and are the same everywhere: a multiplicative hash of the index. */
export const numbers = (length: number, seed = 1, spread = 2): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length }, (_, i) => ((Math.imul(i + 1, 2654435761) ^ Math.imul(seed, 40503)) >>> 8) / 2 ** 24 * 2 * spread - spread);
