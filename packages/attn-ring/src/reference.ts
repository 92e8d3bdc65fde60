import { positionsOf, type RingLayout } from "./layout.ts";

/** One head in float64, row-major, of a sequence over several ranks. */
export interface RingReference {
  /** `[T, d]`, in global order. */
  readonly q: Float64Array;
  /** `[T, d]`. */
  readonly k: Float64Array;
  /** `[T, dv]`. */
  readonly v: Float64Array;
  readonly d: number;
  readonly dv: number;
  readonly scale: number;
  /** Whether the query at a global position may see the key at another. Default: always. */
  readonly allows?: (q: number, kv: number) => boolean;
  readonly layout: RingLayout;
  readonly ranks: number;
}

export interface RingReferenceOutputs {
  /** `[T, dv]`, in global order. */
  readonly o: Float64Array;
  /** `[T]`, natural. */
  readonly lse: Float64Array;
}

export interface RingReferenceGradients {
  readonly dq: Float64Array;
  readonly dk: Float64Array;
  readonly dv: Float64Array;
}

const dot = (a: Float64Array, i: number, b: Float64Array, j: number, n: number): number => {
  let sum = 0;
  for (let x = 0; x < n; x++) sum += a[i * n + x]! * b[j * n + x]!;
  return sum;
};

/**
 * Ring attention, forward (Liu et al., 2023, arXiv:2310.01889, algorithm 1): at step s rank r holds the keys of rank r − s. Each step is attention over these
 * keys alone; two such results are one by o = (w₁ o₁ + w₂ o₂) / (w₁ + w₂) with w = exp(lse).
 */
export function ringReference({ q, k, v, d, dv, scale, allows = () => true, layout, ranks }: RingReference): RingReferenceOutputs {
  const T = q.length / d;
  const positions = Array.from({ length: ranks }, (_, rank) => positionsOf(layout, rank, ranks, T));
  const o = new Float64Array(T * dv);
  const lse = new Float64Array(T).fill(-Infinity);
  for (let rank = 0; rank < ranks; rank++) {
    for (let step = 0; step < ranks; step++) {
      const keys = positions[(rank - step + ranks) % ranks]!;
      for (const i of positions[rank]!) {
        const seen = [...keys].filter((j) => allows(i, j));
        if (seen.length === 0) continue;
        const s = seen.map((j) => scale * dot(q, i, k, j, d));
        const most = Math.max(...s);
        const p = s.map((x) => Math.exp(x - most));
        const sum = p.reduce((a, b) => a + b, 0);
        const here = most + Math.log(sum);
        // w₁ / (w₁ + w₂), without an exp of anything large.
        const after = Math.max(lse[i]!, here) + Math.log1p(Math.exp(-Math.abs(lse[i]! - here)));
        const [before, now] = [Math.exp(lse[i]! - after), Math.exp(here - after)];
        for (let c = 0; c < dv; c++) o[i * dv + c] = before * o[i * dv + c]! + now * (seen.reduce((a, j, n) => a + p[n]! * v[j * dv + c]!, 0) / sum);
        lse[i] = after;
      }
    }
  }
  return { o, lse };
}

/**
 * Backward: keys and values go around again, and the sums of dk and dv travel with them; they are complete when they come home.
 * With the log-sum-exp of the whole row, a part of the keys knows its weights: p = exp(s − lse), ds = p (g·v − g·o).
 */
export function ringReferenceGradients(problem: RingReference, { o, lse }: RingReferenceOutputs, g: Float64Array): RingReferenceGradients {
  const { q, k, v, d, dv: width, scale, allows = () => true, layout, ranks } = problem;
  const T = q.length / d;
  const positions = Array.from({ length: ranks }, (_, rank) => positionsOf(layout, rank, ranks, T));
  const [dq, dk, dv] = [new Float64Array(q.length), new Float64Array(k.length), new Float64Array(v.length)];
  for (let step = 0; step < ranks; step++) {
    for (let rank = 0; rank < ranks; rank++) {
      for (const i of positions[rank]!) {
        const delta = dot(g, i, o, i, width);
        for (const j of positions[(rank - step + ranks) % ranks]!) {
          if (!allows(i, j)) continue;
          const p = Math.exp(scale * dot(q, i, k, j, d) - lse[i]!);
          const ds = p * (dot(g, i, v, j, width) - delta) * scale;
          for (let x = 0; x < d; x++) {
            dq[i * d + x]! += ds * k[j * d + x]!;
            dk[j * d + x]! += ds * q[i * d + x]!;
          }
          for (let c = 0; c < width; c++) dv[j * width + c]! += p * g[i * width + c]!;
        }
      }
    }
  }
  return { dq, dk, dv };
}
