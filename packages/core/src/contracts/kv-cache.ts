import type { Count } from "./count.ts";
import type { Mask } from "./mask.ts";
import type { TensorLike } from "./tensor-like.ts";

/**
 * How a cache keeps its rows. `dense`: its memory grows with the text. `static`: allocated once, so that every step has the same
 * shapes and may be replayed. `paged`: scattered over a pool of pages, which sequences share.
 */
export type CacheKind = "dense" | "static" | "paged";

/** What a cache is made for. */
export interface CacheOptions {
  /** Sequences. */
  readonly batch: number;
  /** Rows of a sequence that it holds at most. */
  readonly capacity: number;
  /** Default `dense`. */
  readonly kind?: CacheKind;
  /** Storage; default f32. */
  readonly dtype?: "f32" | "f16";
  /** Rows of a page, for `paged`: a power of two from 16 to 256. Default 64. */
  readonly pageSize?: number;
  /**
   * What happens when it is full. `error` (default): a typed error, before anything is written. `slide`: the oldest rows are
   * dropped, which is legal where no query looks back further than the capacity.
   */
  readonly overflow?: "error" | "slide";
  /** The mask that it is used with: `slide` reads off it how far back queries look. */
  readonly mask?: Mask;
}

/**
 * What one layer keeps between calls. Opaque to everybody but the layer that made it: keys after the qk hooks and
 * values for multi-head attention, the latent for others.
 */
export interface KvCache<T extends TensorLike> {
  readonly kind: CacheKind;
  readonly dtype: "f32" | "f16";
  /** Rows seen so far; the next row's global position. */
  readonly length: number;
  /** `length` for scalars of a dispatch: live where a step on this cache may be replayed. */
  readonly position: Count;
  readonly capacity: number;
  readonly batch: number;
  readonly overflow: "error" | "slide";
  /** Rows that one step may add at most: the capacity, or where it slides, what a query's window leaves of it. */
  readonly largestStep: number;
  /** Device memory that its rows take now. */
  readonly bytes: number;
  /** The storage, by name, for inspection. */
  readonly tensors: Readonly<Record<string, T>>;
  /**
   * Makes room for `rows` more: memory is taken, or the oldest rows are dropped. A layer does so itself; before a replay it is
   * the caller's business.
   *
   * @throws PolyheadError where they do not fit; nothing has changed then.
   */
  reserve(rows: number): void;
  /** Counts `rows` as stored, once everything that depends on `position` has been sent. A layer does so itself; after a replay it is the caller's business. */
  advance(rows: number): void;
  /** Forgets rows from `length` on. */
  truncate(length: number): void;
  dispose(): void;
}
