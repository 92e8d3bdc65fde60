import { formula, full, PolyheadError, type BuildOptions, type ModelParts, type Plan, type ResolvedSpec, type Workshop } from "@polyhead/core";
import { concat, map, type Engine, type Tensor } from "@polyhead/tensor";
import type { ResolvedEncoderDecoderConfig } from "./config.ts";
import type { EncodeOptions } from "./encoder.ts";
import { explainModel } from "./explain-model.ts";
import type { ForwardOptions } from "./language-model.ts";
import { MemoryDecoder, type DecoderEnds } from "./memory-decoder.ts";
import { Parameters } from "./parameters.ts";
import { Stack, type StackMemory } from "./stack.ts";
import { checkRank, idTensor, targetTensor } from "./token-ids.ts";
import type { TrainableModel } from "./trainable-model.ts";
import { Vocabulary } from "./vocabulary.ts";

/** What the encoder made of a batch of texts. */
export interface Memory extends StackMemory {
  /** `[B, Tk, width]`. */
  readonly source: Tensor;
}

/** What a loss is told beside ids and targets. `starts` and `lengths` are limits of the ids that are encoded. */
export interface EncoderDecoderLossOptions extends Pick<EncodeOptions, "training" | "starts" | "lengths" | "positions" | "observeRouting"> {
  /** What the decoder reads, u32 `[B, T]`; default the targets one place later, behind the start id. */
  readonly inputs?: Tensor;
}

/** An encoder reads one text, a decoder writes another while it looks at the first (Vaswani et al., 2017; T5: Raffel et al., 2020). */
export class EncoderDecoderModel implements TrainableModel {
  readonly engine: Engine;
  readonly spec: ResolvedSpec;
  readonly parameters: Parameters;
  /** The id that the decoder starts from. */
  readonly start: number;
  /** The kernel that the decoder's self-attention trains on, and why. */
  readonly plan: Plan;
  readonly #vocabulary: Vocabulary;
  readonly #encoder: Stack;
  readonly #decoder: Stack;

  constructor(spec: ResolvedSpec, config: ResolvedEncoderDecoderConfig, workshop: Workshop, engine: Engine, options: BuildOptions = {}) {
    if (config.start >= spec.vocab) throw new PolyheadError("CONFIG_RANGE", `start is ${config.start}; the vocabulary has ${spec.vocab} ids`, `set start to an id from 0 to ${spec.vocab - 1}`);
    const { layers = spec.layers, order } = config.encoder;
    const encoderSpec: ResolvedSpec = { ...spec, layers, mask: full() };
    const parts = workshop.parts(spec) as ModelParts<Tensor>;
    this.engine = engine;
    this.spec = spec;
    this.start = config.start;
    this.parameters = new Parameters(engine, spec.layers, options);
    const { parameters } = this;
    const shared = { workshop, engine, parameters };
    [this.#vocabulary, this.#encoder, this.#decoder] = parameters.building(() => [
      new Vocabulary(parts, config.embedding, parameters),
      new Stack({ ...shared, spec: encoderSpec, config: { ...config, order }, parts: workshop.parts(encoderSpec) as ModelParts<Tensor>, prefix: "encoder." }),
      new Stack({ ...shared, spec, config, parts, cross: true }),
    ]);
    this.plan = this.#decoder.planOf({});
  }

  /**
   * Reads texts: what the decoder looks at, with the limits of its rows.
   *
   * @param ids  u32 `[B, Tk]`; padding is told by `starts` or `lengths`, whose tensors the memory goes on using
   * @throws PolyheadError `MODEL_CONTEXT`, `MODEL_IDS`.
   */
  encode(ids: Tensor, options: EncodeOptions = {}): Memory {
    checkRank(ids);
    this.#encoder.checkRoom(ids.shape[1]!, undefined);
    const { starts, lengths } = options;
    const source = this.engine.scope(() => this.#encoder.apply(this.#vocabulary.embed(ids), options));
    return { source, ...(starts && { starts }), ...(lengths && { lengths }) };
  }

  /** The decoder's stream after its last norm, `[B, T, width]`, of ids u32 `[B, T]` that begin with the start id. */
  hidden(memory: StackMemory, ids: Tensor, options: ForwardOptions = {}): Tensor {
    return this.engine.scope(() => this.#ends.hidden(ids, { ...options, memory }));
  }

  /** Logits for the next token at every position, f32 `[B, T, vocab]`. */
  logits(memory: StackMemory, ids: Tensor, options: ForwardOptions = {}): Tensor {
    return this.engine.scope(() => this.#vocabulary.logits(this.hidden(memory, ids, options)));
  }

  /**
   * Mean cross-entropy in nats a token of writing `targets` `[B, T]` after reading `ids` u32 `[B, Tk]`; i32 targets of −100 do not count.
   */
  loss(ids: Tensor, targets: Tensor, { inputs, ...options }: EncoderDecoderLossOptions = {}): Tensor {
    const { engine } = this;
    return engine.scope(() => {
      const read = inputs ?? this.shifted(targets);
      const { training = false, observeRouting } = options;
      const hidden = this.hidden(this.encode(ids, options), read, { training, ...(observeRouting && { observeRouting }) });
      return this.#vocabulary.loss(hidden, targets);
    });
  }

  /** What a decoder reads to write `targets` `[B, T]`: the start id, and all of them but the last; where they do not count, the start id. */
  shifted(targets: Tensor): Tensor {
    checkRank(targets);
    const { engine, start } = this;
    const [batch = 0, tokens = 0] = targets.shape;
    return engine.noGrad(() => engine.scope(() => {
      const first = engine.full([batch, 1], start, "i32");
      return tokens < 2 ? first : concat([first, map(counted, { id: targets.narrow(1, 0, tokens - 1), start })], 1);
    }));
  }

  /**
   * The decoder beside one memory, as a language model: what generation and decode steps take. Each cross-attention's keys and values
   * are made once, here; `dispose` frees them. The memory's `starts` and `lengths` must live as long.
   */
  decoder(memory: Memory): MemoryDecoder {
    return new MemoryDecoder(this.#ends, memory);
  }

  /** Token ids as a tensor u32 `[batch, tokens]`. @throws TensorError `TENSOR_VALUE` naming the first id outside the vocabulary. */
  ids(ids: ArrayLike<number>, batch = 1): Tensor {
    return idTensor(this.engine, ids, batch, this.spec.vocab);
  }

  /** Targets of a loss, i32 `[batch, tokens]`, where −100 does not count. @throws TensorError `TENSOR_VALUE`. */
  targets(targets: ArrayLike<number>, batch = 1): Tensor {
    return targetTensor(this.engine, targets, batch, this.spec.vocab);
  }

  /** What the model is made of and what it runs on, in plain words. */
  explain(): string {
    return explainModel(this.spec, this.parameters, [...this.#encoder.plans, ...this.#decoder.plans]);
  }

  dispose(): void {
    this.parameters.dispose();
  }

  get #ends(): DecoderEnds {
    const { engine, spec } = this;
    const [vocabulary, stack] = [this.#vocabulary, this.#decoder];
    return {
      engine, spec, vocabulary, stack,
      hidden(ids, options) {
        checkRank(ids);
        stack.checkRoom(ids.shape[1]!, options.cache);
        return engine.scope(() => stack.apply(vocabulary.embed(ids), options));
      },
    };
  }
}

const counted = formula({ id: "i32", start: "i32" })`id < 0 ? start : id`;
