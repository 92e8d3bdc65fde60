import { problemOf, PolyheadError, type AttentionContext, type BoundHook, type CacheOptions, type EmbedHook, type KvCache, type ModelParts, type Params, type Plan, type Problem, type ResolvedSpec, type Workshop } from "@polyhead/core";
import { add, checkIds, dropout, embedding, scale, type Engine, type Tensor } from "@polyhead/tensor";
import { attentionSublayer, feedForwardSublayer, type Sublayer, type SublayerContext } from "./block.ts";
import type { ResolvedDecoderConfig } from "./config.ts";
import { feedForward } from "./feed-forward.ts";
import { Parameters } from "./parameters.ts";
import { positionHooks } from "./position-hooks.ts";

export interface ForwardOptions {
  /** Turns dropout on. */
  readonly training?: boolean;
  /** One cache for each attention sublayer, from `createCache`; the ids continue what it holds. */
  readonly cache?: readonly KvCache<Tensor>[];
  /** Positions of the tokens, u32 `[B, T]`, where they differ from their rows (left-padded batches). */
  readonly positions?: Tensor;
  /** First key row that each batch row may see, i32 `[B]` (left padding). */
  readonly starts?: Tensor;
  /** One past the last key row that each batch row may see, i32 `[B]` (right padding). */
  readonly lengths?: Tensor;
}

export interface PrefillOptions extends Omit<ForwardOptions, "training" | "lengths"> {
  readonly cache: readonly KvCache<Tensor>[];
  /** Tokens that are fed at a time, fewer where the cache takes no more. Default 512. */
  readonly chunk?: number;
}

/** A decoder-only language model, composed from the parts that a spec names. */
export class DecoderModel {
  readonly engine: Engine;
  readonly spec: ResolvedSpec;
  readonly parameters: Parameters;
  /** The kernel that attention trains on, and why. */
  readonly plan: Plan;
  readonly #planFor: (use: Pick<Problem, "backward" | "cache" | "dtype" | "padded">) => Plan;
  readonly #plans = new Map<string, Plan>();
  readonly #parts: ModelParts<Tensor>;
  readonly #embedding: Params<Tensor>;
  readonly #embedHooks: readonly BoundHook<Tensor, EmbedHook>[];
  /** Of each block; the same list for all of them where they share their parameters. */
  readonly #attentionHooks: readonly AttentionContext<Tensor>["hooks"][];
  readonly #sublayers: readonly Sublayer[];
  readonly #finalNorm: Params<Tensor> | undefined;

  constructor(spec: ResolvedSpec, config: ResolvedDecoderConfig, workshop: Workshop, engine: Engine) {
    const parts = workshop.parts(spec) as ModelParts<Tensor>;
    this.engine = engine;
    this.spec = spec;
    this.#parts = parts;
    const { place } = config.norm;
    this.#planFor = (use) => workshop.plan(problemOf(parts, { ...use, mask: spec.mask, dropout: use.backward && spec.dropout > 0, sizes: { batch: 1, queries: spec.context, keys: spec.context } }), engine.gpu.caps, spec.kernel);
    this.plan = this.#planFor({ backward: true, cache: "none", dtype: "f32", padded: false });

    this.parameters = new Parameters(engine, spec.layers);
    this.#embedding = this.parameters.create("embedding", parts.embedding.params);
    const positions = positionHooks(parts.position, spec.layers, this.parameters);
    this.#embedHooks = positions.embed;
    this.#attentionHooks = positions.attention;
    const { norm, attention } = parts;
    const ffn = feedForward(spec.width, config.feedForward);
    this.#sublayers = Array.from({ length: spec.layers }, (_, layer) => [
      attentionSublayer(place, norm, attention, this.parameters, `blocks.${layer}.attention`),
      feedForwardSublayer(place, norm, ffn, this.parameters, `blocks.${layer}.feedForward`),
    ]).flat();
    this.#finalNorm = place === "pre" ? this.parameters.create("norm", norm.params) : undefined;
  }

  /**
   * Logits for the next token at every position.
   *
   * @param ids  u32 `[B, T]`
   * @returns f32 `[B, T, vocab]`
   * @throws PolyheadError `MODEL_CONTEXT` when the sequence is longer than the context.
   */
  logits(ids: Tensor, options: ForwardOptions = {}): Tensor {
    return this.engine.scope(() => this.#parts.embedding.logits(this.hidden(ids, options), this.#embedding));
  }

  /** Mean cross-entropy of `targets` u32 `[B, T]`, in nats a token. */
  loss(ids: Tensor, targets: Tensor, options: ForwardOptions = {}): Tensor {
    const { embedding } = this.#parts;
    if (embedding.loss === undefined) throw new PolyheadError("MODEL_LOSS", `embedding '${this.spec.embedding.use}' has no loss`, "use an embedding whose layer has `loss`");
    return this.engine.scope(() => embedding.loss!(this.hidden(ids, options), targets, this.#embedding));
  }

  /** The stream after the last sublayer and the final norm, `[B, T, width]`: what the logits are made of. */
  hidden(ids: Tensor, options: ForwardOptions = {}): Tensor {
    const { engine } = this;
    const [batch = 0, rows = 0] = ids.shape;
    const offset = this.#checkLength(ids, options.cache);
    // All layers have room, or none writes.
    for (const layer of options.cache ?? []) layer.reserve(rows);
    const drop = options.training === true ? this.spec.dropout : 0;
    return engine.scope(() => {
      let x = this.#parts.embedding.embed(ids, this.#embedding);
      for (const { hook, params } of this.#embedHooks) x = addTable(x, hook, params["table"]!, options.positions ?? this.#positions(options.cache, batch, rows));
      if (drop > 0) x = dropout(x, drop);
      const shared = this.#context(offset, drop, options);
      let attentions = 0;
      for (const sub of this.#sublayers) {
        const input = x;
        x = engine.scope(() => sub.apply(input, sub.kind === "attention" ? this.#ofBlock(attentions++, shared, options) : shared));
      }
      return this.#finalNorm === undefined ? x : this.#parts.norm.apply(x, this.#finalNorm);
    });
  }

  /**
   * Feeds a prompt to caches in chunks, so that memory for scores and activations follows the chunk and not the prompt. All
   * memory that the caches need for it is taken first, so that a prompt that does not fit changes nothing.
   *
   * @param ids  u32 `[B, T]`, T at least 1; `positions` is cut like them
   * @returns f32 `[B, 1, vocab]`: logits for the token after the last
   * @throws PolyheadError `MODEL_CONTEXT`, `MODEL_PROMPT`, `CONFIG_RANGE`, and what the caches throw when they are full.
   */
  prefill(ids: Tensor, { cache, chunk = 512, positions, ...options }: PrefillOptions): Tensor {
    const { engine } = this;
    const [, length = 0] = ids.shape;
    if (!(Number.isInteger(chunk) && chunk >= 1)) throw new PolyheadError("CONFIG_RANGE", `chunk is ${chunk}; expected a whole number of at least 1`, "leave it out, or give the tokens that are fed at a time");
    if (length === 0) throw new PolyheadError("MODEL_PROMPT", "the prompt is empty", "start from at least one token");
    this.#checkLength(ids, cache);
    for (const layer of cache) if (layer.overflow === "error") layer.reserve(length);
    const step = Math.min(chunk, ...cache.map((layer) => layer.largestStep));
    return engine.noGrad(() => engine.scope(() => {
      const feed = (at: number): Tensor => {
        const rows = Math.min(step, length - at);
        return this.hidden(ids.narrow(1, at, rows), { ...options, cache, ...(positions && { positions: positions.narrow(1, at, rows) }) });
      };
      let at = 0;
      for (; at + step < length; at += step) engine.scope(() => { feed(at); });
      const last = feed(at);
      return this.#parts.embedding.logits(last.narrow(1, last.shape[1]! - 1, 1), this.#embedding);
    }));
  }

  /**
   * Empty caches, one an attention sublayer, for `batch` sequences of up to `capacity` tokens (default: the context).
   *
   * @throws PolyheadError what the attention layer's `createCache` throws.
   */
  createCache({ capacity = this.spec.context, ...options }: Omit<CacheOptions, "capacity" | "mask"> & Partial<Pick<CacheOptions, "capacity">>): KvCache<Tensor>[] {
    return this.#sublayers.filter((sub) => sub.kind === "attention").map(() => this.#parts.attention.createCache(this.engine, { ...options, capacity, mask: this.spec.mask }));
  }

  /** Token ids as a tensor u32 `[batch, tokens]`. @throws TensorError `TENSOR_VALUE` naming the first id outside the vocabulary. */
  ids(ids: ArrayLike<number>, batch = 1): Tensor {
    checkIds(ids, this.spec.vocab);
    return this.engine.tensor(ids, [batch, ids.length / batch], { dtype: "u32" });
  }

  /** What the model is made of and what it runs on, in plain words. */
  explain(): string {
    const { spec } = this;
    const parts = (["attention", "position", "norm", "embedding"] as const).map((part) => `${part} '${spec[part].use}'`).join(", ");
    return [`${spec.architecture}: ${spec.layers} layers of width ${spec.width}, ${this.parameters.count.toLocaleString("en")} parameters; ${parts}`, this.plan.explain()].join("\n");
  }

  /** The kernel that a call with these options runs on, and why: training, decoding and padded batches pose different problems. */
  planOf(options: ForwardOptions): Plan {
    const [cache] = options.cache ?? [];
    const use = {
      backward: cache === undefined,
      // A static cache lies in memory as a dense one.
      cache: cache === undefined ? "none" : cache.kind === "paged" ? "paged" : "dense",
      dtype: cache?.dtype ?? "f32",
      padded: options.starts !== undefined || options.lengths !== undefined,
    } as const;
    if (use.backward && !use.padded) return this.plan;
    const key = JSON.stringify(use);
    const plan = this.#plans.get(key) ?? this.#planFor(use);
    this.#plans.set(key, plan);
    return plan;
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
    const offset = cache?.[0]?.length ?? 0;
    const positions = offset + rows;
    if (positions > this.spec.context) {
      throw new PolyheadError("MODEL_CONTEXT", `${positions} positions; this model's context holds ${this.spec.context}`, "cut the sequence to its last tokens, or build the model with a longer context");
    }
    return offset;
  }

  #checkLength(ids: Tensor, cache: ForwardOptions["cache"]): number {
    if (ids.rank !== 2) throw new PolyheadError("MODEL_IDS", `ids of shape [${ids.shape.join(", ")}]; expected [batch, tokens]`, "reshape them to [1, tokens] for a single sequence");
    return this.checkRoom(ids.shape[1]!, cache);
  }

  /** Where the rows of a pass stand: the first row of a table that they take, or in a step that may be replayed, a live u32 `[B, 1]`. */
  #positions(cache: ForwardOptions["cache"], batch: number, rows: number): number | Tensor {
    const position = cache?.[0]?.position ?? 0;
    if (typeof position === "number") return position;
    return rows === 1 ? this.engine.full([batch, 1], position, "u32") : position.value;
  }

  /** What all sublayers of one pass are told alike; each has a cache of its own. */
  #context(offset: number, drop: number, options: ForwardOptions): SublayerContext {
    const attention: AttentionContext<Tensor> = {
      hooks: [],
      mask: this.spec.mask,
      plan: this.planOf(options),
      offset,
      dropout: drop,
      ...(options.positions && { positions: options.positions }),
      ...(options.starts && { starts: options.starts }),
      ...(options.lengths && { lengths: options.lengths }),
    };
    return { attention, dropout: drop };
  }

  /** What the attention of one block is told beside it. */
  #ofBlock(block: number, { attention, ...shared }: SublayerContext, { cache }: ForwardOptions): SublayerContext {
    const own = cache?.[block];
    return { ...shared, attention: { ...attention, hooks: this.#attentionHooks[block]!, ...(own && { cache: own }) } };
  }
}

/** x · tokenScale + table[position]; rows of a batch share their positions where only the first of them is told. */
function addTable(x: Tensor, hook: EmbedHook, table: Tensor, positions: number | Tensor): Tensor {
  const token = hook.tokenScale === 1 ? x : scale(x, hook.tokenScale);
  const [batch = 0, rows = 0, width = 0] = x.shape;
  const row = typeof positions === "number" ? table.narrow(0, positions, rows).reshape([1, rows, width]).expand([batch, rows, width]) : embedding(table, positions);
  return add(token, row);
}
