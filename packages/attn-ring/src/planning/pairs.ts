import type { Piece } from "../layout.ts";
import type { Reach } from "./problem.ts";

const clamp = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x));

/** Pairs of a query at q and a key at k with k ≤ q + shift, without a walk over them. */
function atMost(q: Piece, k: Piece, shift: number): number {
  if (shift === Infinity) return q.length * k.length;
  if (shift === -Infinity) return 0;
  const ahead = (i: number, stride: number): number => Math.floor((q.start + i * stride + shift - k.start) / k.stride) + 1;
  if (q.stride !== k.stride && q.length > 1) {
    let pairs = 0;
    for (let i = 0; i < q.length; i++) pairs += clamp(ahead(i, q.stride), 0, k.length);
    return pairs;
  }
  // Query i sees i + g keys, cut at 0 and at all of them: nothing, then a rise by one, then all.
  const g = ahead(0, q.stride);
  const rises = clamp(1 - g, 0, q.length);
  const all = clamp(k.length - g, rises, q.length);
  return ((all - rises) * (rises + all - 1 + 2 * g)) / 2 + (q.length - all) * k.length;
}

/** Pairs of a query and a key that may see each other, of tokens that lie in pieces. Exact below 2⁵³. */
export function pairsBetween(queries: readonly Piece[], keys: readonly Piece[], { left, right }: Reach): number {
  let pairs = 0;
  for (const q of queries) {
    for (const k of keys) pairs += atMost(q, k, right) - atMost(q, k, -left - 1);
  }
  return pairs;
}
