import type { Count } from "@polyhead/core";
import { derived, type LiveNumber } from "@polyhead/gpu";
import type { Engine, Tensor } from "@polyhead/tensor";
import { RowCache, type HeldRows } from "./row-cache.ts";
import type { PlainCacheOptions } from "./dense-cache.ts";
import { bytesOf, keyValueStorage, writeRows, type KeyValue } from "./write-rows.ts";

/**
 * A cache that is allocated once, `[B, Hkv, capacity, D]`, and always handed out whole: a step has the same shapes and buffers
 * whatever the text, and its place in it is live. So a recorded step may be replayed: `reserve`, replay, `advance`.
 *
 * When it slides, the rows that are still seen are copied to its beginning, each time that it is full. That is no part of a step:
 * `reserve` before recording.
 */
export class StaticCache extends RowCache {
  readonly kind = "static";
  readonly tensors: { readonly k: Tensor; readonly v: Tensor };
  readonly #engine: Engine;
  readonly #options: PlainCacheOptions;
  readonly #position: LiveNumber;
  readonly #held: LiveNumber;
  readonly #first: Count;

  constructor(engine: Engine, options: PlainCacheOptions) {
    super(options);
    this.#engine = engine;
    this.#options = options;
    const { timeline } = this;
    this.#position = { get value() { return timeline.length; } };
    this.#held = { get value() { return timeline.held; } };
    // Without a window nothing is ever dropped.
    this.#first = timeline.window === undefined ? 0 : { get value() { return timeline.first; } };
    this.tensors = this.#allocate(this.capacity);
  }

  get #shared(): boolean {
    return this.#options.sharedValues !== undefined;
  }

  override get position(): LiveNumber {
    return this.#position;
  }

  get bytes(): number {
    return bytesOf(this.tensors, this.#shared);
  }

  reserve(rows: number): void {
    const { timeline } = this;
    if (!timeline.overflows(rows)) return;
    const first = timeline.needed;
    const count = timeline.length - first;
    if (count > 0) {
      // No kernel may read and write one buffer, so they go by way of another.
      const between = this.#allocate(count);
      writeRows(between, this.tensors, { at: 0, start: first - timeline.first, count, shared: this.#shared });
      writeRows(this.tensors, between, { at: 0, count, shared: this.#shared });
      between.k.dispose();
      between.v.dispose();
    }
    timeline.first = first;
  }

  protected store(rows: KeyValue, count: number): HeldRows {
    writeRows(this.tensors, rows, { at: this.#held, shared: this.#shared });
    return { ...this.tensors, keys: derived(this.#held, (held) => held + count), kvOffset: this.#first };
  }

  dispose(): void {
    this.tensors.k.dispose();
    this.tensors.v.dispose();
  }

  #allocate(rows: number): KeyValue {
    const { kvHeads, headDim, sharedValues } = this.#options;
    return keyValueStorage(this.#engine, { blocks: this.batch, kvHeads, rows, headDim, sharedValues, dtype: this.dtype });
  }
}
