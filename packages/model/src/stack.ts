import { and, full, isCausal, PolyheadError, scoreHook, scoreMod, window, type AttentionContext, type KvCache, type Mask, type ModelParts, type Params, type Plan, type Remembered, type ResolvedSpec, type ScoreHook, type Workshop } from "@polyhead/core";
import { dropout, type Engine, type Tensor } from "@polyhead/tensor";
import { AttentionPlans, type PlanUse } from "./attention-plans.ts";
import { attentionBranch, feedForwardBranch, mixtureBranch, residualStep, type AttentionKind, type Branch, type Pass, type ResidualStep } from "./block.ts";
import { checkNorm, type ResolvedStackConfig } from "./config.ts";
import { withEmbedHooks } from "./embed-hooks.ts";
import type { NamedPlan } from "./explain-model.ts";
import { feedForward } from "./feed-forward.ts";
import type { ForwardOptions, ModelCacheOptions } from "./language-model.ts";
import { mixture } from "./mixture.ts";
import { parseOrder, type Letter, type Step } from "./order.ts";
import type { Parameters } from "./parameters.ts";
import { positionHooks, type PositionHooks } from "./position-hooks.ts";

/** What cross-attention reads. */
export interface StackMemory {
  /** Hidden states `[B, Tk, width]`, or what each cross-attention remembers of them. */
  readonly source: Tensor | readonly Remembered<Tensor>[];
  /** Limits of its rows, as those of the text. */
  readonly starts?: Tensor;
  readonly lengths?: Tensor;
}

export interface StackForward extends ForwardOptions {
  readonly memory?: StackMemory;
}

export interface StackOptions {
  /** Its `layers`, `mask` and `position` are those of this stack. */
  readonly spec: ResolvedSpec;
  readonly config: ResolvedStackConfig;
  readonly workshop: Workshop;
  readonly engine: Engine;
  readonly parts: ModelParts<Tensor>;
  readonly parameters: Parameters;
  /** Before the names of its parameters. Default none. */
  readonly prefix?: string;
  /** It attends to a memory. */
  readonly cross?: boolean;
}

/** Sublayers in their order, with positions, plans, caches and norms: everything between the embedding and the logits. */
export class Stack {
  /** The sublayers, step by step. */
  readonly order: readonly Step[];
  readonly #options: StackOptions;
  readonly #masks: Readonly<Record<AttentionKind, Mask>>;
  readonly #plans: AttentionPlans;
  readonly #kinds: readonly ("s" | "w")[];
  readonly #softcap: readonly ScoreHook[];
  readonly #positions: PositionHooks;
  readonly #embeddingNorm: Params<Tensor> | undefined;
  readonly #steps: readonly ResidualStep[];
  /** Of the cross-attentions, by the order. */
  readonly #crossParams: readonly Params<Tensor>[];
  readonly #finalNorm: Params<Tensor> | undefined;

  /** @throws PolyheadError `CONFIG_ORDER`, `CONFIG_NORM`, `CONFIG_MISSING` for a letter without what it needs, and what planning throws. */
  constructor(options: StackOptions) {
    const { spec, config, workshop, engine, parameters, prefix = "", cross = false } = options;
    this.order = parseOrder(config.order, { layers: spec.layers, cross });
    checkNorm(config.norm);
    this.#options = options;
    const letters = this.order.flat();
    this.#kinds = letters.filter((letter) => letter === "s" || letter === "w");
    this.#masks = { s: spec.mask, w: this.#kinds.includes("w") ? windowed(spec.mask, config.window) : spec.mask, c: full() };
    this.#softcap = softcapHook(config.attention.softcap);
    const { norm, position } = options.parts;
    const parts = { ...options.parts, position: { ...position, hooks: [...this.#softcap, ...position.hooks] } };
    this.#plans = new AttentionPlans({ workshop, engine, spec, parts, masks: this.#masks, crossHooks: this.#softcap });
    // A mask or a position that no kernel takes is told before any memory is taken.
    for (const kind of new Set(letters.filter(isAttention))) this.#plans.of(kind, TRAINING);

    this.#positions = positionHooks(position, { layers: spec.layers, parameters, prefix });
    this.#embeddingNorm = config.norm.embedding ? parameters.create(`${prefix}embeddingNorm`, norm.params) : undefined;
    const branchOf = branches(options);
    this.#steps = this.order.map((step) => residualStep(step.map(branchOf), norm, config.norm, parameters));
    this.#crossParams = this.#steps.flatMap(({ weights }, i) => weights.filter((_, branch) => this.order[i]![branch] === "c"));
    this.#finalNorm = config.norm.place === "post" ? undefined : parameters.create(`${prefix}norm`, norm.params);
  }

  /**
   * The stream after everything, `[B, T, width]`.
   *
   * @param x  token embeddings `[B, T, width]`
   * @throws PolyheadError `MODEL_CONTEXT` where they do not fit the context, and what full caches throw; nothing has changed then.
   */
  apply(x: Tensor, options: StackForward): Tensor {
    const { engine, spec, parts: { norm } } = this.#options;
    const { cache, observe } = options;
    const [, rows = 0] = x.shape;
    const offset = this.checkRoom(rows, cache);
    // All layers have room, or none writes.
    for (const layer of cache ?? []) layer.reserve(rows);
    const drop = options.training === true ? spec.dropout : 0;
    return engine.scope(() => {
      let y = withEmbedHooks(x, this.#positions.embed, options.positions ?? cache?.[0]?.position ?? 0);
      if (this.#embeddingNorm !== undefined) y = norm.apply(y, this.#embeddingNorm);
      if (drop > 0) y = dropout(y, drop);
      observe?.({ kind: "embedding", index: 0, letter: "", x: y });
      const pass = this.#pass(offset, drop, options);
      for (const [index, step] of this.#steps.entries()) {
        const input = y;
        y = engine.scope(() => step.apply(input, pass));
        observe?.({ kind: "sublayer", index, letter: this.order[index]!.join(""), x: y });
      }
      if (this.#finalNorm !== undefined) y = norm.apply(y, this.#finalNorm);
      observe?.({ kind: "final", index: 0, letter: "", x: y });
      return y;
    });
  }

  /**
   * Empty caches, one a self-attention, for `batch` sequences of up to `capacity` tokens (default: the context).
   *
   * @throws PolyheadError what the attention layer's `createCache` throws.
   */
  createCache({ capacity = this.#options.spec.context, windowCapacity, ...options }: ModelCacheOptions): KvCache<Tensor>[] {
    const { engine, parts } = this.#options;
    const made: KvCache<Tensor>[] = [];
    try {
      for (const kind of this.#kinds) {
        const slides = kind === "w" && windowCapacity !== undefined;
        made.push(parts.attention.createCache(engine, { ...options, ...(slides ? { capacity: windowCapacity, overflow: "slide" } : { capacity }), mask: this.#masks[kind] }));
      }
    } catch (error) {
      for (const cache of made) cache.dispose();
      throw error;
    }
    return made;
  }

  /** What every cross-attention remembers of a memory `[B, Tk, width]`; undefined where the layer projects it anew each time. */
  remember(memory: Tensor): Remembered<Tensor>[] | undefined {
    const { attention } = this.#options.parts;
    return attention.remember && this.#crossParams.map((params) => attention.remember!(memory, params));
  }

  /** The kernel that a call with these options runs on, of the attention that comes first in the order, or of a given kind. */
  planOf(options: ForwardOptions, kind: AttentionKind = this.#kinds[0]!): Plan {
    return this.#plans.of(kind, useOf(options));
  }

  /** The training plan of every kind of attention in the order. */
  get plans(): readonly NamedPlan[] {
    const { prefix = "" } = this.#options;
    return [...new Set(this.order.flat().filter(isAttention))].map((kind) => ({ of: prefix.replace(".", " ") + NAMES[kind], plan: this.#plans.of(kind, TRAINING) }));
  }

  /**
   * How many tokens a cache holds already; they and `rows` more must fit the context.
   *
   * @throws PolyheadError `MODEL_CONTEXT`
   */
  checkRoom(rows: number, cache: ForwardOptions["cache"]): number {
    const { context } = this.#options.spec;
    const offset = cache?.[0]?.length ?? 0;
    const positions = offset + rows;
    if (positions > context) {
      throw new PolyheadError("MODEL_CONTEXT", `${positions} positions; this model's context holds ${context}`, "cut the sequence to its last tokens, or build the model with a longer context");
    }
    return offset;
  }

  /** What the sublayers of one pass are told. */
  #pass(offset: number, drop: number, options: StackForward): Pass {
    const { cache, memory } = options;
    const use = useOf(options);
    const shared = (kind: AttentionKind, of: PlanUse): Pick<AttentionContext<Tensor>, "mask" | "plan" | "planFor" | "offset" | "dropout"> => ({
      mask: this.#masks[kind],
      plan: this.#plans.of(kind, of),
      planFor: (shape) => this.#plans.of(kind, of, shape),
      offset,
      dropout: drop,
    });
    const limits = ({ starts, lengths }: Pick<StackForward, "starts" | "lengths">): Pick<StackForward, "starts" | "lengths"> => ({ ...(starts && { starts }), ...(lengths && { lengths }) });
    const self = (kind: "s" | "w", index: number): AttentionContext<Tensor> => ({
      ...shared(kind, use),
      hooks: [...this.#softcap.map((hook) => ({ hook, params: {} })), ...this.#positions.attention[index]!],
      ...(options.positions && { positions: options.positions }),
      ...limits(options),
      ...(cache && { cache: cache[index]! }),
    });
    const cross = (index: number): AttentionContext<Tensor> => {
      if (memory === undefined) throw new PolyheadError("MODEL_MEMORY", "cross-attention without a memory", "encode a text, and pass what comes out of it");
      const of: PlanUse = { ...use, cache: "none", dtype: "f32", padded: memory.starts !== undefined || memory.lengths !== undefined };
      return { ...shared("c", of), hooks: this.#softcap.map((hook) => ({ hook, params: {} })), ...limits(memory), memory: "shape" in memory.source ? memory.source : memory.source[index]! };
    };
    return { dropout: drop, observeRouting: options.observeRouting, attention: (kind, index) => (kind === "c" ? cross(index) : self(kind, index)) };
  }
}

const isAttention = (letter: Letter): letter is AttentionKind => letter === "s" || letter === "w" || letter === "c";

const NAMES: Readonly<Record<AttentionKind, string>> = { s: "self-attention", w: "self-attention in a window", c: "cross-attention" };

const TRAINING: PlanUse = { backward: true, cache: "none", dtype: "f32", padded: false };

/** The problem that a call poses: training, decoding and padded batches differ. A static cache lies in memory as a dense one. */
function useOf({ cache, starts, lengths }: ForwardOptions): PlanUse {
  const first = cache?.[0];
  return {
    backward: first === undefined,
    cache: first === undefined ? "none" : first.kind === "paged" ? "paged" : "dense",
    dtype: first?.dtype ?? "f32",
    padded: starts !== undefined || lengths !== undefined,
  };
}

/** The mask of letter `w`: what `mask` allows within a window, which looks ahead only where the mask does. */
function windowed(mask: Mask, tokens: number | undefined): Mask {
  if (tokens === undefined) throw new PolyheadError("CONFIG_MISSING", "the order has a letter 'w', and window is missing", "set window to the tokens that such a layer sees");
  const within = window(tokens - 1, isCausal(mask) ? 0 : tokens - 1);
  return mask.kind === "causal" || mask.kind === "full" ? within : and(mask, within);
}

/** Caps scaled scores before anything is added to them (Gemma 2, arXiv:2408.00118). */
function softcapHook(cap: number | undefined): readonly ScoreHook[] {
  return cap === undefined ? [] : [scoreHook({ id: "softcap", program: scoreMod`${cap} * tanh(score / ${cap})` })];
}

/** Makes the branches of an order, in its order: each kind counts its own. */
function branches({ spec, config, parts, prefix = "" }: StackOptions): (letter: Letter) => Branch {
  const counts = { attention: 0, cross: 0, feedForward: 0 };
  const path = (kind: keyof typeof counts): string => `${prefix}blocks.${counts[kind]++}.${kind}`;
  const plain = feedForward(spec.width, config.feedForward);
  const experts = config.experts && mixture(spec.width, config.experts);
  return (letter) => {
    switch (letter) {
      case "s":
      case "w":
        return attentionBranch(path("attention"), letter, counts.attention - 1, parts.attention);
      case "c":
        return attentionBranch(path("cross"), letter, counts.cross - 1, parts.attention);
      case "f":
        return feedForwardBranch(path("feedForward"), plain);
      case "m":
        if (experts === undefined) throw new PolyheadError("CONFIG_MISSING", "the order has a letter 'm', and experts is missing", "describe the mixture: experts: { routed, active, width }");
        return mixtureBranch(path("feedForward"), experts);
    }
  };
}
