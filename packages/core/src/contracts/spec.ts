import type { AttentionLayer } from "./attention.ts";
import type { ModelDims } from "./dims.ts";
import type { EmbeddingLayer } from "./embedding.ts";
import type { Mask } from "./mask.ts";
import type { NormLayer } from "./norm.ts";
import type { PositionLayer } from "./position.ts";
import type { TensorLike } from "./tensor-like.ts";

/** The choice of a plugin with its config, defaults filled in. */
export type ResolvedPart = { readonly use: string } & Readonly<Record<string, unknown>>;

/** The keys of a spec that every architecture shares. */
export interface ResolvedCore {
  readonly architecture: string;
  readonly layers: number;
  readonly width: number;
  readonly vocab: number;
  readonly context: number;
  readonly dropout: number;
  readonly mask: Mask;
  /** A kernel's name, or 'auto'. */
  readonly kernel: string;
  readonly attention: ResolvedPart;
  readonly position: ResolvedPart;
  readonly norm: ResolvedPart;
  readonly embedding: ResolvedPart;
}

/**
 * A strict, frozen spec: every key known, every default filled in, the architecture's own keys in their places
 * (`norm.place`, `feedForward`). Resolving it again changes nothing, and it is plain data, so a checkpoint can hold it
 * (masks that capture arrays or programs excepted).
 */
export type ResolvedSpec = ResolvedCore & Readonly<Record<string, unknown>>;

/** The created parts of a model. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the lab does not know the tensor type; the architecture states it
export interface ModelParts<T extends TensorLike = any> {
  readonly dims: Required<ModelDims>;
  readonly attention: AttentionLayer<T>;
  readonly position: PositionLayer;
  readonly norm: NormLayer<T>;
  readonly embedding: EmbeddingLayer<T>;
}
