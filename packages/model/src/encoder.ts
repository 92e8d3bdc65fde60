import type { BuildOptions, ModelParts, Plan, ResolvedSpec, Workshop } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import type { ResolvedStackConfig } from "./config.ts";
import { explainModel, type NamedPlan } from "./explain-model.ts";
import type { ForwardOptions } from "./language-model.ts";
import { Parameters } from "./parameters.ts";
import { Stack } from "./stack.ts";
import { checkRank, idTensor, targetTensor } from "./token-ids.ts";
import type { TrainableModel } from "./trainable-model.ts";
import { Vocabulary } from "./vocabulary.ts";

/** A pass without a cache: what is read is read whole. */
export type EncodeOptions = Omit<ForwardOptions, "cache">;

/** An encoder: every token sees every other, unless the spec's mask says otherwise. */
export class EncoderModel implements TrainableModel {
  readonly engine: Engine;
  readonly spec: ResolvedSpec;
  readonly parameters: Parameters;
  /** The kernel that attention trains on, and why. */
  readonly plan: Plan;
  readonly #vocabulary: Vocabulary;
  readonly #stack: Stack;

  constructor(spec: ResolvedSpec, config: ResolvedStackConfig, workshop: Workshop, engine: Engine, options: BuildOptions = {}) {
    const parts = workshop.parts(spec) as ModelParts<Tensor>;
    this.engine = engine;
    this.spec = spec;
    this.parameters = new Parameters(engine, spec.layers, options);
    const { parameters } = this;
    [this.#vocabulary, this.#stack] = parameters.building(() => [
      new Vocabulary(parts, config.embedding, parameters),
      new Stack({ spec, config, workshop, engine, parts, parameters }),
    ]);
    this.plan = this.#stack.planOf({});
  }

  /**
   * What each token has become, `[B, T, width]`.
   *
   * @param ids  u32 `[B, T]`
   * @throws PolyheadError `MODEL_CONTEXT` when the sequence is longer than the context, `MODEL_IDS`.
   */
  hidden(ids: Tensor, options: EncodeOptions = {}): Tensor {
    checkRank(ids);
    this.#stack.checkRoom(ids.shape[1]!, undefined);
    return this.engine.scope(() => this.#stack.apply(this.#vocabulary.embed(ids), options));
  }

  /** Logits of the token at each place, f32 `[B, T, vocab]`, from ids u32 `[B, T]` of which some are masked. */
  logits(ids: Tensor, options: EncodeOptions = {}): Tensor {
    return this.engine.scope(() => this.#vocabulary.logits(this.hidden(ids, options)));
  }

  /** Mean cross-entropy in nats of `targets` `[B, T]`, at the same places: i32 where −100 marks the tokens that were not masked. */
  loss(ids: Tensor, targets: Tensor, options: EncodeOptions = {}): Tensor {
    return this.engine.scope(() => this.#vocabulary.loss(this.hidden(ids, options), targets));
  }

  /** Token ids as a tensor u32 `[batch, tokens]`. @throws TensorError `TENSOR_VALUE` naming the first id outside the vocabulary. */
  ids(ids: ArrayLike<number>, batch = 1): Tensor {
    return idTensor(this.engine, ids, batch, this.spec.vocab);
  }

  /** Targets of a loss, i32 `[batch, tokens]`, where −100 does not count. @throws TensorError `TENSOR_VALUE`. */
  targets(targets: ArrayLike<number>, batch = 1): Tensor {
    return targetTensor(this.engine, targets, batch, this.spec.vocab);
  }

  /** The kernels that its self-attentions train on, and why: one of each kind. */
  get plans(): readonly NamedPlan[] {
    return this.#stack.plans;
  }

  /** What the model is made of and what it runs on, in plain words. */
  explain(): string {
    return explainModel(this.spec, this.parameters, this.#stack.plans);
  }

  /** The kernel that a call with these options runs on, and why. */
  planOf(options: EncodeOptions): Plan {
    return this.#stack.planOf(options);
  }

  dispose(): void {
    this.parameters.dispose();
  }
}
