import { defineEmbedding, type EmbeddingPlugin } from "@polyhead/core";
import { embedding, linear, linearCrossEntropy, type Tensor } from "@polyhead/tensor";

export interface TiedEmbeddingConfig {
  /** Standard deviation of the initial table. */
  readonly std?: number;
}

/** One table for both ways: x = U[id], logits = U h (Press and Wolf, 2017). */
export const tied: EmbeddingPlugin<"tied", TiedEmbeddingConfig, Tensor> = defineEmbedding({
  name: "tied",
  options: { std: { type: "number", default: 0.02, min: 0, doc: "standard deviation of the initial table" } },
  create({ std = 0.02 }: TiedEmbeddingConfig, { vocab, width }) {
    return {
      params: { weight: { shape: [vocab, width], init: { kind: "normal", std }, decay: true } },
      tied: true,
      embed: (ids: Tensor, params) => embedding(params["weight"]!, ids),
      logits: (hidden: Tensor, params) => linear(hidden, params["weight"]!),
      loss: (hidden: Tensor, targets: Tensor, params) => linearCrossEntropy(hidden.reshape([-1, width]), params["weight"]!, targets.reshape([-1])),
    };
  },
});
