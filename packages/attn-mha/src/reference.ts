import { causal, referenceAttention, zeros64, type Array64, type Mask, type ScoreHook } from "@polyhead/core";

/** One multi-head layer in float64, weights `[out, in]` row-major: what the paper computes, with nothing else. */
export interface MultiHeadReference {
  /** `[B, T, width]`. */
  readonly x: Array64;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** `[(heads + 2·kvHeads)·headDim, width]`: W_Q on top of W_K on top of W_V. */
  readonly qkv: Float64Array;
  readonly qkvBias?: Float64Array;
  /** `[width, heads·headDim]`. */
  readonly out: Float64Array;
  readonly outBias?: Float64Array;
  /** Default causal. */
  readonly mask?: Mask;
  /** Of the scores; default 1/√headDim. */
  readonly scale?: number;
  /** Where keys and values come from in cross-attention, `[B, Tk, width]`; default x. */
  readonly memory?: Array64;
  /** Score hooks, in their order. */
  readonly score?: readonly ScoreHook[];
}

/** y = x Wᵀ + b for rows x of `inputs` numbers. */
function project(x: Float64Array, weight: Float64Array, bias: Float64Array | undefined, inputs: number, outputs: number): Float64Array {
  const rows = x.length / inputs;
  return Float64Array.from({ length: rows * outputs }, (_, at) => {
    const [row, o] = [Math.floor(at / outputs), at % outputs];
    let sum = bias?.[o] ?? 0;
    for (let i = 0; i < inputs; i++) sum += x[row * inputs + i]! * weight[o * inputs + i]!;
    return sum;
  });
}

/**
 * MultiHead(x) = Concat(head₁, …, head_h) W_O with head_i = Attention(x W_Q, x W_K, x W_V) (Vaswani et al., 2017,
 * arXiv:1706.03762, section 3.2.2); several query heads share a key head in GQA (Ainslie et al., 2023, arXiv:2305.13245).
 *
 * @returns `[B, T, width]`, row-major
 */
export function multiHeadReference({ x, heads, kvHeads, headDim, qkv, qkvBias, out, outBias, mask = causal(), scale, memory = x, score = [] }: MultiHeadReference): Float64Array {
  const [B = 0, T = 0, width = 0] = x.shape;
  const all = heads + 2 * kvHeads;
  const headsOf = (source: Array64, first: number, count: number): Array64 => {
    const [, rows = 0] = source.shape;
    const projected = project(source.data, qkv, qkvBias, width, all * headDim);
    const part = zeros64([B, count, rows, headDim]);
    for (let i = 0; i < part.data.length; i++) {
      const [d, t, h, b] = [i % headDim, Math.floor(i / headDim) % rows, Math.floor(i / headDim / rows) % count, Math.floor(i / headDim / rows / count)];
      part.data[i] = projected[((b * rows + t) * all + first + h) * headDim + d]!;
    }
    return part;
  };
  const { o } = referenceAttention({ q: headsOf(x, 0, heads), k: headsOf(memory, heads, kvHeads), v: headsOf(memory, heads + kvHeads, kvHeads), mask, score, ...(scale !== undefined && { scale }) });
  const joined = Float64Array.from({ length: B * T * heads * headDim }, (_, i) => {
    const [d, h, t, b] = [i % headDim, Math.floor(i / headDim) % heads, Math.floor(i / headDim / heads) % T, Math.floor(i / headDim / heads / T)];
    return o.data[((b * heads + h) * T + t) * headDim + d]!;
  });
  return project(joined, out, outBias, heads * headDim, width);
}
