import type { ResolvedSpec } from "@polyhead/core";

/** A `config.json` as it was read: nothing about it has been checked. */
export type HfConfig = Readonly<Record<string, unknown>>;

/**
 * A part of one of our parameters, cut out of one tensor of a checkpoint. Rows are those of the (transposed) source seen as a
 * matrix `[shape[0], rest]`.
 */
export interface Piece {
  /** Name in the checkpoint. */
  readonly tensor: string;
  /** Shape in the checkpoint. */
  readonly shape: readonly number[];
  /** The source is a matrix, and its transpose is meant. */
  readonly transpose?: boolean;
  /** Our rows, in order, as source rows; default all. */
  readonly rows?: Uint32Array;
}

/** Our parameter: the rows of its pieces, one piece after the other. */
export type Recipe = readonly Piece[];

/** By the name of our parameter. */
export type WeightMap = ReadonlyMap<string, Recipe>;

/** How models of one family are written down: the meaning of their config, and the names of their tensors. */
export interface Family {
  /** Such as 'gpt2'. */
  readonly name: string;
  /** Values of `model_type` in `config.json`. */
  readonly modelTypes: readonly string[];
  /**
   * What `lab.resolve` takes.
   *
   * @throws PolyheadError `PRETRAINED_CONFIG` naming a key whose value we do not compute.
   */
  spec(config: HfConfig): Record<string, unknown>;
  /** Where each of our parameters comes from, under the names that `save_pretrained` writes. */
  weights(spec: ResolvedSpec, config: HfConfig): WeightMap;
  /** Prefixes that the names of a file may have or lack, such as 'transformer.'. */
  readonly prefixes: readonly string[];
  /** Tensors that files may hold and nobody needs, such as buffers of masks. */
  readonly ignored?: readonly RegExp[];
  /** Tensors that are copies of another one: 'lm_head.weight' → 'transformer.wte.weight'. Where a file holds both, they must be equal. */
  tied?(config: HfConfig): Readonly<Record<string, string>>;
}
