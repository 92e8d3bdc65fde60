import { defineAttention, type AttentionPlugin } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import type { DecodeForm } from "./decode-form.ts";
import { latentLayer } from "./layer.ts";

export interface LatentConfig {
  readonly heads: number;
  /** Features of the latent that keys and values are made of. */
  readonly kvRank: number;
  /** Features of the compressed query; default: queries are not compressed. */
  readonly queryRank?: number;
  /** Features of a query or key head that no position turns. */
  readonly nopeDim: number;
  /** Features of the key that positions turn, which all heads share. */
  readonly ropeDim: number;
  /** Features of a value head. */
  readonly valueDim: number;
  /** Learn a bias in the down-projections and in the projection back to the stream. Default false. */
  readonly bias?: boolean;
  /** Of the scores; default 1/√(nopeDim + ropeDim). With YaRN, DeepSeek multiplies it by the square of its mscale. */
  readonly scale?: number;
  /** Of the norms of latent and compressed query. Default 1e-6. */
  readonly normEpsilon?: number;
  /** How rows of a cache are attended to; the numbers are the same. Default `auto`: what takes fewer products. */
  readonly decode?: DecodeForm;
}

/** Multi-head latent attention (DeepSeek-V2, 2024, arXiv:2405.04434, section 2.1). */
export const mla: AttentionPlugin<"mla", "embed" | "qk" | "score", LatentConfig, Tensor> = defineAttention({
  name: "mla",
  sites: ["embed", "qk", "score"],
  options: {
    heads: { type: "integer", min: 1, required: true, doc: "query heads" },
    kvRank: { type: "integer", min: 1, required: true, doc: "features of the latent that keys and values are made of" },
    queryRank: { type: "integer", min: 1, doc: "features of the compressed query; left out, queries are not compressed" },
    nopeDim: { type: "integer", min: 1, required: true, doc: "features of a query or key head that no position turns" },
    ropeDim: { type: "integer", min: 1, required: true, doc: "features of the key that positions turn, which all heads share" },
    valueDim: { type: "integer", min: 1, required: true, doc: "features of a value head" },
    bias: { type: "boolean", default: false, doc: "learn a bias in the down-projections and in the projection back to the stream" },
    scale: { type: "number", min: 0, doc: "of the scores; default 1/sqrt(nopeDim + ropeDim)" },
    normEpsilon: { type: "number", min: 0, default: 1e-6, doc: "of the norms of latent and compressed query" },
    decode: { type: "choice", choices: ["auto", "absorbed", "naive"], default: "auto", doc: "how rows of a cache are attended to" },
  },
  create({ heads, kvRank, queryRank, nopeDim, ropeDim, valueDim, bias = false, scale, normEpsilon = 1e-6, decode = "auto" }: LatentConfig, { width }) {
    return latentLayer({ width, heads, kvRank, queryRank, nopeDim, ropeDim, valueDim, bias, scale: scale ?? 1 / Math.sqrt(nopeDim + ropeDim), normEpsilon }, decode);
  },
});
