import { capture, definePosition, scoreHook, scoreMod, type PositionPlugin } from "@polyhead/core";
import { alibiSlopes } from "./reference.ts";

export interface AlibiConfig {
  /** The last head's slope is 2^−maxBias. Default 8; MPT's `alibi_bias_max`. */
  readonly maxBias?: number;
  /** Fall off to both sides, for attention that looks ahead: −m · |q − kv|. Default false: m · (kv − q). */
  readonly symmetric?: boolean;
  /** Train the slopes, from the paper's on. Default false. */
  readonly learned?: boolean;
  /** Each layer learns slopes of its own; fixed ones are the same everywhere. Default false. */
  readonly perLayer?: boolean;
}

/**
 * Attention with linear biases (Press et al., 2022, arXiv:2108.12409): a key loses score in proportion to its distance, each
 * head by a slope of its own. Nothing is added to the embeddings, and any distance has a meaning, seen in training or not.
 */
export const alibi: PositionPlugin<"alibi", "score", AlibiConfig> = definePosition({
  name: "alibi",
  sites: ["score"],
  options: {
    maxBias: { type: "number", default: 8, min: 0, doc: "the last head's slope is 2^-maxBias" },
    symmetric: { type: "boolean", default: false, doc: "fall off to both sides, for attention that looks ahead" },
    learned: { type: "boolean", default: false, doc: "train the slopes" },
    perLayer: { type: "boolean", default: false, doc: "each layer learns slopes of its own" },
  },
  create: ({ maxBias = 8, symmetric = false, learned = false, perLayer = false }: AlibiConfig, { heads }) => {
    const slopes = capture(alibiSlopes(heads, { maxBias }), [heads], { name: "slopes", learned });
    const program = symmetric ? scoreMod`score - ${slopes}[h] * abs(q - kv)` : scoreMod`score + ${slopes}[h] * (kv - q)`;
    return { hooks: [scoreHook({ id: "alibi", program })], perLayer };
  },
});
