import { PolyheadError, type KvCache } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";

export interface DenseCacheOptions {
  readonly batch: number;
  /** Rows that it holds at most. */
  readonly capacity: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Keys (after the qk hooks) and values of every row so far, `[B, Hkv, capacity, D]` each, allocated once. */
export class DenseCache implements KvCache<Tensor> {
  readonly capacity: number;
  readonly batch: number;
  readonly tensors: { readonly k: Tensor; readonly v: Tensor };
  #length = 0;

  constructor(engine: Engine, { batch, capacity, kvHeads, headDim }: DenseCacheOptions) {
    this.batch = batch;
    this.capacity = capacity;
    // Zeros, since the rows past `length` are read by nobody but bound with the rest.
    const rows = (): Tensor => engine.keep(engine.zeros([batch, kvHeads, capacity, headDim]));
    this.tensors = { k: rows(), v: rows() };
  }

  get length(): number {
    return this.#length;
  }

  /**
   * Adds rows `[B, Hkv, T, D]` and returns all keys and values, as views of the cache.
   *
   * @throws PolyheadError `ATTN_CACHE_FULL` (nothing is written), `ATTN_CACHE_BATCH`, `ATTN_CACHE_GRAD`.
   */
  append(k: Tensor, v: Tensor): { readonly k: Tensor; readonly v: Tensor } {
    const [batch = 0, , rows = 0] = k.shape;
    if (batch !== this.batch) throw new PolyheadError("ATTN_CACHE_BATCH", `${batch} sequences for a cache of ${this.batch}`, "make the cache with createCache({ batch }) of the batch it is used with");
    if (k.requiresGrad || v.requiresGrad) throw new PolyheadError("ATTN_CACHE_GRAD", "a KV cache was used while gradients are on; what it stores has none", "decode inside engine.noGrad, or train without a cache");
    if (this.#length + rows > this.capacity) {
      throw new PolyheadError("ATTN_CACHE_FULL", `${rows} more rows do not fit a cache that holds ${this.#length} of ${this.capacity}`, "make it with a larger capacity, or truncate it and read the last part of the text again");
    }
    const { engine } = k;
    const write = (all: Tensor, part: Tensor): void => { engine.assign(all.narrow(2, this.#length, rows), part); };
    write(this.tensors.k, k);
    write(this.tensors.v, v);
    this.#length += rows;
    return { k: this.tensors.k.narrow(2, 0, this.#length), v: this.tensors.v.narrow(2, 0, this.#length) };
  }

  truncate(length: number): void {
    if (!(Number.isInteger(length) && length >= 0 && length <= this.#length)) throw new PolyheadError("ATTN_CACHE_LENGTH", `truncate(${length}) of a cache that holds ${this.#length} rows`, `give a whole number from 0 to ${this.#length}`);
    this.#length = length;
  }

  dispose(): void {
    this.tensors.k.dispose();
    this.tensors.v.dispose();
  }
}
