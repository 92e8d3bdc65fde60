import type { AttentionLayer } from "./attention.ts";
import type { ModelDims } from "./dims.ts";
import type { EmbeddingLayer } from "./embedding.ts";
import type { Mask } from "./mask.ts";
import type { NormLayer } from "./norm.ts";
import type { PositionLayer } from "./position.ts";

/** The choice of a plugin with its config, defaults filled in. */
export type ResolvedPart = { readonly use: string } & Readonly<Record<string, unknown>>;

/** A strict, frozen spec: every default filled in, every key known. Plain data, so a checkpoint can hold it (masks with captures excepted). */
export interface ResolvedSpec {
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
  /** The architecture's own keys, nested as in the spec. */
  readonly own: Readonly<Record<string, unknown>>;
}

/** The created parts of a model. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the lab does not know the tensor type; the architecture states it
export interface ModelParts<T extends { readonly shape: readonly number[]; readonly dtype: string } = any> {
  readonly dims: Required<ModelDims>;
  readonly attention: AttentionLayer<T>;
  readonly position: PositionLayer;
  readonly norm: NormLayer<T>;
  readonly embedding: EmbeddingLayer<T>;
}
