import type { CacheOptions, KvCache } from "@polyhead/core";
import type { Engine, Routing, Tensor } from "@polyhead/tensor";

/** What one forward pass is seen to make, in order: the stream after the embedding, after each step of the order, and after the last norm. */
export interface Observation {
  readonly kind: "embedding" | "sublayer" | "final";
  /** Of a sublayer, its place in the order, from 0; else 0. */
  readonly index: number;
  /** Of a sublayer, its letter in the order, or those of branches that were summed (`sf`); else empty. */
  readonly letter: string;
  /** `[B, T, width]`; it ends with the scope around the call, unless the engine is told to keep it. */
  readonly x: Tensor;
}

export interface ForwardOptions {
  /** Turns dropout on. */
  readonly training?: boolean;
  /** One cache for each self-attention, from `createCache`; the ids continue what it holds. */
  readonly cache?: readonly KvCache<Tensor>[];
  /** Positions of the tokens, u32 `[B, T]`, where they differ from their rows (left-padded batches). */
  readonly positions?: Tensor;
  /** First key row that each batch row may see, i32 `[B]` (left padding). */
  readonly starts?: Tensor;
  /** One past the last key row that each batch row may see, i32 `[B]` (right padding). */
  readonly lengths?: Tensor;
  /** Hears the stream at every step. */
  readonly observe?: (event: Observation) => void;
  /** Hears where each mixture of experts sends the tokens, a row for each, by the path of its parameters (`blocks.3.feedForward`). The tensors end as those of `observe` do. */
  readonly observeRouting?: (path: string, routing: Routing) => void;
}

export interface PrefillOptions extends Omit<ForwardOptions, "training" | "lengths"> {
  readonly cache: readonly KvCache<Tensor>[];
  /** Tokens that are fed at a time, fewer where the cache takes no more. Default 512. */
  readonly chunk?: number;
}

/** Caches for the self-attentions of a model. */
export interface ModelCacheOptions extends Omit<CacheOptions, "capacity" | "mask"> {
  /** Rows of a sequence; default the model's context. */
  readonly capacity?: number;
  /** Rows that the caches of windowed layers (letter `w`) hold: more than they look back on. They then slide. Default: as all others. */
  readonly windowCapacity?: number;
}

/** What decoding needs of a model: a decoder, or the decoder of an encoder-decoder beside what it reads. */
export interface LanguageModel {
  readonly engine: Engine;
  readonly spec: { readonly vocab: number; readonly context: number };
  /** Empty caches, one a self-attention. */
  createCache(options: ModelCacheOptions): KvCache<Tensor>[];
  /** Feeds ids u32 `[B, T]` to caches in chunks. Returns the logits after the last token, f32 `[B, 1, vocab]`. */
  prefill(ids: Tensor, options: PrefillOptions): Tensor;
  /** Logits f32 `[B, T, vocab]` of ids u32 `[B, T]`. */
  logits(ids: Tensor, options?: ForwardOptions): Tensor;
  /** Rows that a cache holds. @throws PolyheadError `MODEL_CONTEXT` where `rows` more do not fit the context. */
  checkRoom(rows: number, cache: ForwardOptions["cache"]): number;
  /** Token ids u32 `[batch, tokens]`. @throws TensorError `TENSOR_VALUE` naming the first id outside the vocabulary. */
  ids(ids: ArrayLike<number>, batch?: number): Tensor;
}
