export interface BucketOptions {
  /** Keys before and after the query have buckets of their own, half of them each. */
  readonly bidirectional: boolean;
  /** How many there are in all. */
  readonly buckets: number;
  /** Distances from here on share the last bucket. */
  readonly maxDistance: number;
}

/**
 * T5's bucket of a relative position, key position − query position (Raffel et al., 2020, arXiv:1910.10683, section 2.1): a bucket for each
 * small distance, then ever wider ones whose bounds grow by a constant factor. To the bit as Hugging Face computes it, in float32.
 */
export function relativeBucket(relative: number, { bidirectional, buckets, maxDistance }: BucketOptions): number {
  const side = bidirectional ? buckets / 2 : buckets;
  const first = bidirectional && relative > 0 ? side : 0;
  const n = bidirectional ? Math.abs(relative) : Math.max(-relative, 0);
  const exact = Math.floor(side / 2);
  if (n < exact) return first + n;
  const f32 = Math.fround;
  const share = f32(f32(Math.log(f32(n / exact))) / f32(Math.log(maxDistance / exact)));
  return first + Math.min(exact + Math.trunc(f32(share * (side - exact))), side - 1);
}

/** Which of 2R + 1 entries a pair has: clip(j − i, −R, R) + R (Shaw et al., 2018, arXiv:1803.02155, section 3.2). */
export function clippedDistance(i: number, j: number, R: number): number {
  return Math.max(-R, Math.min(R, j - i)) + R;
}

/** Shaw's term of eq. 4, (qᵢ · a_ij) / √d, with a row of `a` `[2R + 1, d]` for each clipped distance. */
export function shawScore(q: Float64Array, a: Float64Array, i: number, j: number): number {
  const d = q.length;
  const row = clippedDistance(i, j, (a.length / d - 1) / 2) * d;
  return q.reduce((sum, x, at) => sum + x * a[row + at]!, 0) / Math.sqrt(d);
}

/** The two kernels that KERPLE recommends, both conditionally positive definite for r₁ > 0, and r₂ > 0 or 0 < r₂ ≤ 2. */
export type KerpleForm = "log" | "power";

/** What KERPLE adds (Chi et al., 2022, arXiv:2205.09921, eq. 4 and 5): −r₁ log(1 + r₂ |i − j|), or −r₁ |i − j|^r₂. */
export function kerpleBias(form: KerpleForm, r1: number, r2: number, i: number, j: number): number {
  const distance = Math.abs(i - j);
  return form === "log" ? -r1 * Math.log(1 + r2 * distance) : -r1 * distance ** r2;
}

/** The parameters of one head's FIRE, with the shared hidden layer. */
export interface FireParams {
  readonly c: number;
  /** The threshold L below which positions are not told apart. */
  readonly L: number;
  /** Weight and bias of the hidden units, `[width]` each. */
  readonly w1: ArrayLike<number>;
  readonly b1: ArrayLike<number>;
  /** The head's row of the output layer `[width]`, and its bias. */
  readonly w2: ArrayLike<number>;
  readonly b2: number;
}

/** What FIRE adds (Li et al., 2023, arXiv:2310.04418, eq. 2): f(ψ(i − j) / ψ(max(L, i))), with ψ(x) = log(cx + 1) and f an MLP. */
export function fireBias({ c, L, w1, b1, w2, b2 }: FireParams, i: number, j: number): number {
  const psi = (x: number): number => Math.log(Math.abs(c * x) + 1);
  const x = psi(i - j) / (psi(Math.max(Math.abs(L), i)) + 1e-6); // kept from 0 where c is learned to be 0
  return Array.from(w1).reduce((sum, w, u) => sum + w2[u]! * Math.max(0, w * x + b1[u]!), b2);
}
