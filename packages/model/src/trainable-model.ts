import type { ResolvedSpec } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import type { NamedPlan } from "./explain-model.ts";
import type { ForwardOptions } from "./language-model.ts";
import type { Parameters } from "./parameters.ts";

/** What training needs of a model: a decoder, an encoder, or an encoder-decoder, whose ids are what it reads and whose targets what it writes. */
export interface TrainableModel {
  readonly engine: Engine;
  readonly spec: ResolvedSpec;
  readonly parameters: Parameters;
  /** The kernels that its self-attentions train on; none where a model keeps that to itself. */
  readonly plans?: readonly NamedPlan[];
  /** Token ids u32 `[batch, tokens]`. @throws TensorError `TENSOR_VALUE` naming the first id outside the vocabulary. */
  ids(ids: ArrayLike<number>, batch?: number): Tensor;
  /** Mean cross-entropy of `targets` `[B, T]` in nats a token. */
  loss(ids: Tensor, targets: Tensor, options?: Pick<ForwardOptions, "training" | "observeRouting" | "positions">): Tensor;
  /** Frees the parameters. */
  dispose(): void;
}
