import { defineAttention, PolyheadError, type AttentionPlugin } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { multiHeadLayer } from "./layer.ts";

export interface MultiHeadConfig {
  readonly heads: number;
  /** Key and value heads: `heads` is multi-head (default), 1 is multi-query, a divisor in between is grouped-query attention. */
  readonly kvHeads?: number;
  /** Features of a head; default width / heads. */
  readonly headDim?: number;
  /** Learns a bias in every projection. Default true. */
  readonly bias?: boolean;
  /** Learns one in the projection back to the stream; default as `bias`. */
  readonly outBias?: boolean;
  /** Of the scores; default 1/√headDim. T5 has 1. */
  readonly scale?: number;
}

/** Multi-head attention (Vaswani et al., 2017), with shared key heads where asked (MQA: Shazeer, 2019; GQA: Ainslie et al., 2023). */
export const mha: AttentionPlugin<"mha", "embed" | "qk" | "score", MultiHeadConfig, Tensor> = defineAttention({
  name: "mha",
  sites: ["embed", "qk", "score"],
  options: {
    heads: { type: "integer", min: 1, required: true, doc: "query heads" },
    kvHeads: { type: "integer", min: 1, doc: "key and value heads, a divisor of heads; default heads" },
    headDim: { type: "integer", min: 1, doc: "features of a head; default width / heads" },
    bias: { type: "boolean", default: true, doc: "learn a bias in every projection" },
    outBias: { type: "boolean", doc: "learn one in the projection back to the stream; default as bias" },
    scale: { type: "number", min: 0, doc: "factor of the scores; default 1/sqrt(headDim)" },
  },
  create({ heads, kvHeads = heads, headDim: given, bias = true, outBias = bias, scale }: MultiHeadConfig, { width }) {
    if (heads % kvHeads !== 0) throw new PolyheadError("ATTN_HEADS", `${heads} query heads cannot share ${kvHeads} key heads evenly`, `set kvHeads to a divisor of ${heads}`);
    if (given === undefined && width % heads !== 0) throw new PolyheadError("ATTN_HEADS", `a width of ${width} does not split into ${heads} heads`, `set heads to a divisor of ${width}, or give headDim`);
    const headDim = given ?? width / heads;
    return multiHeadLayer({ width, heads, kvHeads, headDim, bias, outBias, scale: scale ?? 1 / Math.sqrt(headDim) });
  },
});
