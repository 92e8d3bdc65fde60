import type { ModelDims } from "./dims.ts";
import type { Hook, Site } from "./hooks.ts";
import type { NoConfig, OptionSpecs } from "./options.ts";
import type { PluginBase } from "./plugin-base.ts";

/** A position encoding for one model: hooks, in the order in which they act. Each hook declares its own parameters. */
export interface PositionLayer {
  readonly hooks: readonly Hook[];
  /**
   * Every attention layer has tensors of its own behind the parameters of the qk and score hooks; default false: all share one
   * set. The hooks, and so the plan, are the same for all layers either way.
   */
  readonly perLayer?: boolean;
}

export interface PositionPlugin<N extends string = string, S extends Site = Site, C = NoConfig>
  extends PluginBase<"position", N> {
  /** Every site at which a hook of this plugin may act; the attention layer must expose them all. */
  readonly sites: readonly S[];
  readonly options: OptionSpecs<C>;
  /** `dims.heads` and `dims.headDim` are those of the attention layer. */
  create(config: C, dims: Required<ModelDims>): PositionLayer;
}
