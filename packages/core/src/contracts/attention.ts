import type { Count } from "./count.ts";
import type { ModelDims } from "./dims.ts";
import type { BoundHook, QkHook, ScoreHook, Site } from "./hooks.ts";
import type { KernelPlugin } from "./kernel.ts";
import type { CacheOptions, KvCache } from "./kv-cache.ts";
import type { Mask } from "./mask.ts";
import type { NoConfig, OptionSpecs } from "./options.ts";
import type { ParamSpecs, Params } from "./params.ts";
import type { PluginBase } from "./plugin-base.ts";
import type { Lowering } from "./problem.ts";
import type { EngineOf, TensorLike } from "./tensor-like.ts";

/** The sizes that kernels and positions depend on. */
export interface AttentionShape {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDimQK: number;
  readonly headDimV: number;
  /** Features of a query or key that qk hooks see, where they see a part only; default `headDimQK`. */
  readonly hookDim?: number;
}

/** Keys and values of a memory, made once and read at every step; opaque to everybody but the layer that made them. */
export interface Remembered<T extends TensorLike> {
  readonly tensors: Readonly<Record<string, T>>;
}

/** The kernel chosen by the planner and how it takes each hook; a `Plan` satisfies it. */
export interface PlannedKernel<T extends TensorLike> {
  readonly kernel: KernelPlugin<string, T>;
  readonly how: Readonly<Record<string, Lowering>>;
}

/** Everything an attention layer is told beside its input and its own parameters. */
export interface AttentionContext<T extends TensorLike> {
  /** In the user's order; embed hooks are the architecture's business. */
  readonly hooks: readonly BoundHook<T, QkHook<T> | ScoreHook>[];
  readonly mask: Mask;
  readonly plan: PlannedKernel<T>;
  /** The plan of the same call for heads of other sizes; for layers whose decode steps are another problem than their training. */
  readonly planFor?: (shape: AttentionShape) => PlannedKernel<T>;
  /** Global position of row 0 of x. With a cache, its own `position` counts. */
  readonly offset: Count;
  /** Positions that the qk hooks see, u32 `[B, T]`, where they differ from `offset + row` (left-padded batches). Masks and score hooks go on counting rows. */
  readonly positions?: T;
  /** First allowed key row of each batch row, i32 `[B]`. */
  readonly starts?: T;
  /** One past the last allowed key row of each batch row, i32 `[B]`. */
  readonly lengths?: T;
  readonly cache?: KvCache<T>;
  /** Source of keys and values for cross-attention: `[B, Tk, width]`, or what `remember` made of it. */
  readonly memory?: T | Remembered<T>;
  /** Default 1/√headDimQK. */
  readonly scale?: number;
  /** Drop probability of the attention weights, 0 outside training. */
  readonly dropout: number;
}

/** One attention layer. Stateless: parameters, hooks and cache are passed in, so all layers of a model share it. */
export interface AttentionLayer<T extends TensorLike> {
  readonly params: ParamSpecs;
  readonly shape: AttentionShape;
  /** The layer applies qk hooks itself, before the kernel; the problem is then posed without them. */
  readonly ownsQkHooks?: true;
  /** `[B, T, width] → [B, T, width]`. */
  apply(x: T, params: Params<T>, context: AttentionContext<T>): T;
  createCache(engine: EngineOf<T>, options: CacheOptions): KvCache<T>;
  /** Projects a memory `[B, Tk, width]` once, for many calls with the same one. Without it, memories are projected at every call. */
  remember?(memory: T, params: Params<T>): Remembered<T>;
}

export interface AttentionPlugin<
  N extends string = string,
  S extends Site = Site,
  C = NoConfig,
  T extends TensorLike = TensorLike,
> extends PluginBase<"attention", N> {
  /** The sites at which hooks may act on this layer. */
  readonly sites: readonly S[];
  readonly options: OptionSpecs<C>;
  create(config: C, dims: ModelDims): AttentionLayer<T>;
}
