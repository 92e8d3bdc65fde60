import type { ModelDims } from "./dims.ts";
import type { NoConfig, OptionSpecs } from "./options.ts";
import type { ParamSpecs, Params, Params64 } from "./params.ts";
import type { PluginBase } from "./plugin-base.ts";
import type { TensorLike } from "./tensor-like.ts";

/** A normalisation over the last axis. Stateless: its parameters are passed in. */
export interface NormLayer<T extends TensorLike> {
  readonly params: ParamSpecs;
  /** `[..., width] → [..., width]`. */
  apply(x: T, params: Params<T>): T;
  /** The formula in float64; `x` holds rows of `width` numbers. */
  reference(x: Float64Array, width: number, params: Params64): Float64Array;
}

export interface NormPlugin<N extends string = string, C = NoConfig, T extends TensorLike = TensorLike>
  extends PluginBase<"norm", N> {
  readonly options: OptionSpecs<C>;
  /** `dims.width` is the size of the normalised axis, which need not be the model's (QK-norm). */
  create(config: C, dims: Pick<ModelDims, "width">): NormLayer<T>;
}
