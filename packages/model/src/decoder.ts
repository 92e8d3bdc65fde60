import type { BuildOptions, KvCache, ModelParts, Plan, ResolvedSpec, Workshop } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import type { ResolvedStackConfig } from "./config.ts";
import { explainModel, type NamedPlan } from "./explain-model.ts";
import type { ForwardOptions, LanguageModel, ModelCacheOptions, PrefillOptions } from "./language-model.ts";
import { Parameters } from "./parameters.ts";
import { prefillInChunks } from "./prefill.ts";
import { Stack } from "./stack.ts";
import { checkRank, idTensor, targetTensor } from "./token-ids.ts";
import type { TrainableModel } from "./trainable-model.ts";
import { Vocabulary } from "./vocabulary.ts";

/** A decoder-only language model, composed from the parts that a spec names. */
export class DecoderModel implements LanguageModel, TrainableModel {
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
   * Logits for the next token at every position.
   *
   * @param ids  u32 `[B, T]`
   * @returns f32 `[B, T, vocab]`
   * @throws PolyheadError `MODEL_CONTEXT` when the sequence is longer than the context.
   */
  logits(ids: Tensor, options: ForwardOptions = {}): Tensor {
    return this.engine.scope(() => this.#vocabulary.logits(this.hidden(ids, options)));
  }

  /** Mean cross-entropy of `targets` `[B, T]`, in nats a token: u32, or i32 where −100 marks those that do not count. */
  loss(ids: Tensor, targets: Tensor, options: ForwardOptions = {}): Tensor {
    return this.engine.scope(() => this.#vocabulary.loss(this.hidden(ids, options), targets));
  }

  /** The stream after the last sublayer and the final norm, `[B, T, width]`: what the logits are made of. */
  hidden(ids: Tensor, options: ForwardOptions = {}): Tensor {
    this.#checkLength(ids, options.cache);
    return this.engine.scope(() => this.#stack.apply(this.#vocabulary.embed(ids), options));
  }

  /**
   * Feeds a prompt to caches in chunks, so that memory for scores and activations follows the chunk and not the prompt. All
   * memory that the caches need for it is taken first, so that a prompt that does not fit changes nothing.
   *
   * @param ids  u32 `[B, T]`, T at least 1; `positions` is cut like them
   * @returns f32 `[B, 1, vocab]`: logits for the token after the last
   * @throws PolyheadError `MODEL_CONTEXT`, `MODEL_PROMPT`, `CONFIG_RANGE`, and what the caches throw when they are full.
   */
  prefill(ids: Tensor, { cache, chunk, positions, ...options }: PrefillOptions): Tensor {
    this.#checkLength(ids, cache);
    const { engine } = this;
    const chunks = { cache, ...(chunk !== undefined && { chunk }), ...(positions && { positions }) };
    return engine.noGrad(() => engine.scope(() => this.#vocabulary.logits(prefillInChunks(engine, ids, chunks, (part, at) => this.hidden(part, { ...options, ...at, cache })))));
  }

  /**
   * Empty caches, one a self-attention, for `batch` sequences of up to `capacity` tokens (default: the context).
   *
   * @throws PolyheadError what the attention layer's `createCache` throws.
   */
  createCache(options: ModelCacheOptions): KvCache<Tensor>[] {
    return this.#stack.createCache(options);
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

  /** The kernel that a call with these options runs on, and why: training, decoding and padded batches pose different problems. */
  planOf(options: ForwardOptions): Plan {
    return this.#stack.planOf(options);
  }

  dispose(): void {
    this.parameters.dispose();
  }

  /**
   * How many tokens a cache holds already; they and `rows` more must fit the context.
   *
   * @throws PolyheadError `MODEL_CONTEXT`
   */
  checkRoom(rows: number, cache: ForwardOptions["cache"]): number {
    return this.#stack.checkRoom(rows, cache);
  }

  #checkLength(ids: Tensor, cache: ForwardOptions["cache"]): void {
    checkRank(ids);
    this.checkRoom(ids.shape[1]!, cache);
  }
}
