import { type EmbeddingLayer, type ModelParts, type Params } from "@polyhead/core";
import { crossEntropy, scale, softcap, type Tensor } from "@polyhead/tensor";
import type { ResolvedStackConfig } from "./config.ts";
import type { HalfRule, Parameters } from "./parameters.ts";

const tables: HalfRule = (_, { shape }) => shape.length === 2;

/** The two ends of a model: from ids to the stream, and from it to logits. */
export class Vocabulary {
  readonly #layer: EmbeddingLayer<Tensor>;
  readonly #params: Params<Tensor>;
  readonly #config: ResolvedStackConfig["embedding"];

  constructor({ embedding }: ModelParts<Tensor>, config: ResolvedStackConfig["embedding"], parameters: Parameters) {
    this.#layer = embedding;
    this.#params = parameters.create("embedding", embedding.params, tables);
    this.#config = config;
  }

  /** scale · E[ids], `[B, T, width]`. */
  embed(ids: Tensor): Tensor {
    return times(this.#layer.embed(ids, this.#params), this.#config.scale);
  }

  /** softcap(logitScale · U h), `[B, T, vocab]`. */
  logits(hidden: Tensor): Tensor {
    const { logitScale, softcap: cap } = this.#config;
    const logits = this.#layer.logits(times(hidden, logitScale), this.#params);
    return cap === undefined ? logits : softcap(logits, cap);
  }

  /** Mean cross-entropy in nats; straight from the hidden states where nothing bends the logits, tables are f32, and the layer can. Targets of −100 do not count. */
  loss(hidden: Tensor, targets: Tensor): Tensor {
    const { logitScale, softcap: cap } = this.#config;
    const halves = Object.values(this.#params).some(({ dtype }) => dtype === "f16");
    if (cap !== undefined || halves || this.#layer.loss === undefined) return crossEntropy(this.logits(hidden), targets);
    return this.#layer.loss(times(hidden, logitScale), targets, this.#params);
  }
}

const times = (x: Tensor, factor: number): Tensor => (factor === 1 ? x : scale(x, factor));
