import { defineEmbedding, type EmbeddingPlugin } from "@polyhead/core";
import { embedding, linear, linearCrossEntropy, type Tensor } from "@polyhead/tensor";

export interface UntiedEmbeddingConfig {
  /** Standard deviation of both initial tables. */
  readonly std?: number;
}

/** A table for the way in and another for the way out: x = E[id], logits = U h. */
export const untied: EmbeddingPlugin<"untied", UntiedEmbeddingConfig, Tensor> = defineEmbedding({
  name: "untied",
  options: { std: { type: "number", default: 0.02, min: 0, doc: "standard deviation of both initial tables" } },
  create({ std = 0.02 }: UntiedEmbeddingConfig, { vocab, width }) {
    const table = { shape: [vocab, width], init: { kind: "normal", std }, decay: true } as const;
    return {
      params: { weight: table, head: table },
      tied: false,
      embed: (ids: Tensor, params) => embedding(params["weight"]!, ids),
      logits: (hidden: Tensor, params) => linear(hidden, params["head"]!),
      loss: (hidden: Tensor, targets: Tensor, params) => linearCrossEntropy(hidden.reshape([-1, width]), params["head"]!, targets.reshape([-1])),
    };
  },
});
