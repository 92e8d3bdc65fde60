import { PolyheadError, type CacheKind, type Count, type KernelInputs, type KvCache } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import type { KeyValue } from "./write-rows.ts";
import { Timeline, type TimelineOptions } from "./timeline.ts";

/** Everything that a cache holds, as a kernel is given it. */
export type HeldRows = Pick<KernelInputs<Tensor>, "k" | "v" | "keys" | "pages" | "kvOffset">;

/** What the caches of a multi-head layer are made for. */
export interface RowCacheOptions extends TimelineOptions {
  readonly batch: number;
  readonly dtype?: "f32" | "f16";
}

/** Keys (after the qk hooks) and values of every row so far: what the kinds of caches have in common. */
export abstract class RowCache implements KvCache<Tensor> {
  abstract readonly kind: CacheKind;
  abstract readonly bytes: number;
  abstract readonly tensors: Readonly<Record<string, Tensor>>;
  readonly batch: number;
  readonly dtype: "f32" | "f16";
  protected readonly timeline: Timeline;

  constructor({ batch, dtype = "f32", capacity, window }: RowCacheOptions) {
    if (!(Number.isInteger(batch) && batch >= 1)) throw new PolyheadError("ATTN_CACHE_BATCH", `a cache of ${batch} sequences`, "give a whole number of at least 1");
    this.batch = batch;
    this.dtype = dtype;
    this.timeline = new Timeline({ capacity, window });
  }

  get capacity(): number {
    return this.timeline.capacity;
  }

  get length(): number {
    return this.timeline.length;
  }

  get position(): Count {
    return this.timeline.length;
  }

  get overflow(): "error" | "slide" {
    return this.window === undefined ? "error" : "slide";
  }

  get largestStep(): number {
    return this.timeline.largestStep;
  }

  /** How many rows before its own a query may see; undefined where every row is kept. */
  get window(): number | undefined {
    return this.timeline.window;
  }

  /**
   * Stores rows `[B, Hkv, T, D]` at `position` and returns all that is held, they included. They count once `advance` is called:
   * until then, offsets of this step are read off `position`.
   *
   * @throws PolyheadError `ATTN_CACHE_FULL` (nothing is written), `ATTN_CACHE_BATCH`, `ATTN_CACHE_GRAD`.
   */
  append(k: Tensor, v: Tensor): HeldRows {
    const [batch = 0, , rows = 0] = k.shape;
    if (batch !== this.batch) throw new PolyheadError("ATTN_CACHE_BATCH", `${batch} sequences for a cache of ${this.batch}`, "make the cache with createCache({ batch }) of the batch it is used with");
    if (k.requiresGrad || v.requiresGrad) throw new PolyheadError("ATTN_CACHE_GRAD", "a KV cache was used while gradients are on; what it stores has none", "decode inside engine.noGrad, or train without a cache");
    this.reserve(rows);
    return this.store({ k, v }, rows);
  }

  advance(rows: number): void {
    this.timeline.length += rows;
  }

  truncate(length: number): void {
    this.timeline.truncate(length);
  }

  abstract reserve(rows: number): void;
  abstract dispose(): void;
  /** Writes rows for which there is room. */
  protected abstract store(rows: KeyValue, count: number): HeldRows;
}

/** @throws PolyheadError `ATTN_CACHE_KIND` when another kind of layer made it. */
export function asRowCache(cache: KvCache<Tensor>): RowCache {
  // By shape, so that two copies of this package get along.
  if ("append" in cache) return cache as RowCache;
  throw new PolyheadError("ATTN_CACHE_KIND", "this cache was made by another kind of layer", "use the caches that the model's createCache made");
}
