import type { ModelDims } from "./dims.ts";
import type { NoConfig, OptionSpecs } from "./options.ts";
import type { ParamSpecs, Params } from "./params.ts";
import type { PluginBase } from "./plugin-base.ts";
import type { TensorLike } from "./tensor-like.ts";

/** The way in from token ids and the way out to logits. */
export interface EmbeddingLayer<T extends TensorLike> {
  readonly params: ParamSpecs;
  /** Both ways use one table. */
  readonly tied: boolean;
  /** Ids u32 `[B, T]` → `[B, T, width]`. */
  embed(ids: T, params: Params<T>): T;
  /** `[B, T, width] → [B, T, vocab]`. */
  logits(hidden: T, params: Params<T>): T;
  /** Mean cross-entropy straight from hidden states, for layers that can avoid the logits; targets u32 `[B, T]`. */
  loss?(hidden: T, targets: T, params: Params<T>): T;
}

export interface EmbeddingPlugin<N extends string = string, C = NoConfig, T extends TensorLike = TensorLike>
  extends PluginBase<"embedding", N> {
  readonly options: OptionSpecs<C>;
  create(config: C, dims: ModelDims): EmbeddingLayer<T>;
}
