import { causal, referenceAttention, zeros64, type Array64, type Mask, type QkHook, type ScoreHook } from "@polyhead/core";

/** One latent layer in float64, weights `[out, in]` row-major, under the paper's names. */
export interface LatentReference {
  /** h, `[B, T, width]`. */
  readonly h: Array64;
  readonly heads: number;
  readonly kvRank: number;
  readonly queryRank?: number;
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  /** W_DQ `[queryRank, width]`, the gain of its norm, and [W_UQ; W_QR] of each head `[heads·(nope + rope), queryRank]`; without compression `upQuery` takes h. */
  readonly downQuery?: Float64Array;
  readonly queryGain?: Float64Array;
  readonly upQuery: Float64Array;
  /** W_DKV on top of W_KR, `[kvRank + rope, width]`. */
  readonly down: Float64Array;
  readonly latentGain: Float64Array;
  /** W_UK on top of W_UV, head by head, `[heads·(nope + value), kvRank]`. */
  readonly up: Float64Array;
  /** W_O, `[width, heads·value]`. */
  readonly out: Float64Array;
  /** RoPE of the paper: applied to each head's q^R and to the shared k^R. */
  readonly position?: readonly QkHook[];
  readonly score?: readonly ScoreHook[];
  readonly mask?: Mask;
  readonly scale?: number;
  readonly epsilon?: number;
  /** Position of the first row. */
  readonly offset?: number;
}

/** W x. */
function times(weight: Float64Array, x: Float64Array): Float64Array {
  const outputs = weight.length / x.length;
  return Float64Array.from({ length: outputs }, (_, o) => x.reduce((sum, value, i) => sum + weight[o * x.length + i]! * value, 0));
}

/** RMSNorm(x) = x / √(mean x² + ε) · g. */
function norm(x: Float64Array, gain: Float64Array, epsilon: number): Float64Array {
  const root = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + epsilon);
  return x.map((value, i) => (value / root) * gain[i]!);
}

/**
 * Multi-head latent attention, row by row (DeepSeek-V2, 2024, arXiv:2405.04434, section 2.1.2 and 2.1.3):
 *
 *     c^KV = norm(W_DKV h)                 c^Q = norm(W_DQ h)
 *     k^C = W_UK c^KV   v = W_UV c^KV      q^C = W_UQ c^Q
 *     k^R = RoPE(W_KR h), one for all      q^R = RoPE(W_QR c^Q), one a head
 *     u = W_O · Attention([q^C; q^R], [k^C; k^R], v)
 *
 * @returns u `[B, T, width]`, row-major
 */
export function latentReference({ h, heads, kvRank, nopeDim, ropeDim, valueDim, downQuery, queryGain, upQuery, down, latentGain, up, out, position = [], score = [], mask = causal(), scale = 1 / Math.sqrt(nopeDim + ropeDim), epsilon = 1e-6, offset = 0 }: LatentReference): Float64Array {
  const [B = 0, T = 0, width = 0] = h.shape;
  const turn = (x: Float64Array, side: "q" | "k", t: number, head: number): Float64Array => position.reduce((y, hook) => (hook.applies === "both" || hook.applies === side ? hook.reference(y, offset + t, head) : y), x);
  const q = zeros64([B, heads, T, nopeDim + ropeDim]);
  const k = zeros64([B, heads, T, nopeDim + ropeDim]);
  const v = zeros64([B, heads, T, valueDim]);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) {
      const x = h.data.subarray((b * T + t) * width, (b * T + t + 1) * width);
      const cQ = downQuery === undefined ? x : norm(times(downQuery, x), queryGain!, epsilon);
      const allQ = times(upQuery, cQ);
      const compressed = times(down, x);
      const c = norm(compressed.subarray(0, kvRank), latentGain, epsilon);
      const kR = turn(compressed.slice(kvRank), "k", t, 0);
      const kv = times(up, c);
      for (let head = 0; head < heads; head++) {
        const row = (b * heads + head) * T + t;
        const own = allQ.subarray(head * (nopeDim + ropeDim), (head + 1) * (nopeDim + ropeDim));
        const kC = kv.subarray(head * (nopeDim + valueDim), head * (nopeDim + valueDim) + nopeDim);
        q.data.set(own.subarray(0, nopeDim), row * (nopeDim + ropeDim));
        q.data.set(turn(own.slice(nopeDim), "q", t, head), row * (nopeDim + ropeDim) + nopeDim);
        k.data.set(kC, row * (nopeDim + ropeDim));
        k.data.set(kR, row * (nopeDim + ropeDim) + nopeDim);
        v.data.set(kv.subarray(head * (nopeDim + valueDim) + nopeDim, (head + 1) * (nopeDim + valueDim)), row * valueDim);
      }
    }
  }
  const { o } = referenceAttention({ q, k, v, mask, score, scale, qOffset: offset, kvOffset: offset });
  const u = new Float64Array(B * T * width);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) {
      const joined = Float64Array.from({ length: heads * valueDim }, (_, i) => o.data[((b * heads + Math.floor(i / valueDim)) * T + t) * valueDim + (i % valueDim)]!);
      u.set(times(out, joined), (b * T + t) * width);
    }
  }
  return u;
}
