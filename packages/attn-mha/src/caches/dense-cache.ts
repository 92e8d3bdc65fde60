import type { Engine, Tensor } from "@polyhead/tensor";
import { RowCache, type HeldRows, type RowCacheOptions } from "./row-cache.ts";
import { bytesOf, keyValueStorage, writeRows, type KeyValue } from "./write-rows.ts";

/** Of a cache with storage of its own. */
export interface PlainCacheOptions extends RowCacheOptions {
  readonly kvHeads: number;
  readonly headDim: number;
  /** Values are the first features of their keys, this many: only keys are stored. */
  readonly sharedValues?: number | undefined;
}

/** Rows that are taken at first. */
const SMALLEST = 16;

/**
 * A cache whose memory follows the text: `[B, Hkv, rows, D]`, where `rows` doubles as often as it must, up to the capacity.
 * Truncating it keeps the memory. When it slides, the rows that are still seen are copied to a new beginning, each time that it is
 * full: the more capacity beyond the window, the more rarely.
 */
export class DenseCache extends RowCache {
  readonly kind = "dense";
  readonly #engine: Engine;
  readonly #options: PlainCacheOptions;
  #storage: KeyValue | undefined;

  constructor(engine: Engine, options: PlainCacheOptions) {
    super(options);
    this.#engine = engine;
    this.#options = options;
  }

  get #shared(): boolean {
    return this.#options.sharedValues !== undefined;
  }

  get tensors(): Readonly<Record<string, Tensor>> {
    return { ...this.#storage };
  }

  get bytes(): number {
    return this.#storage === undefined ? 0 : bytesOf(this.#storage, this.#shared);
  }

  reserve(rows: number): void {
    const { timeline } = this;
    const room = this.#storage?.k.shape[2] ?? 0;
    if (timeline.overflows(rows)) {
      const first = timeline.needed;
      this.#move(room, first - timeline.first, timeline.length - first);
      timeline.first = first;
    } else if (timeline.held + rows > room) {
      this.#move(Math.min(this.capacity, Math.max(SMALLEST, 2 * room, timeline.held + rows)), 0, timeline.held);
    }
  }

  protected store(rows: KeyValue): HeldRows {
    const { held, first } = this.timeline;
    const storage = this.#storage!;
    writeRows(storage, rows, { at: held, shared: this.#shared });
    return { ...storage, keys: held + rows.k.shape[2]!, kvOffset: first };
  }

  dispose(): void {
    this.#release(this.#storage);
    this.#storage = undefined;
  }

  /** Takes memory for `rows` rows, and moves `count` of those held, from `start` on, to its beginning. */
  #move(rows: number, start: number, count: number): void {
    const { batch: blocks, dtype } = this;
    const { kvHeads, headDim, sharedValues } = this.#options;
    const before = this.#storage;
    const after = keyValueStorage(this.#engine, { blocks, kvHeads, rows, headDim, sharedValues, dtype });
    if (before !== undefined && count > 0) writeRows(after, before, { at: 0, start, count, shared: this.#shared });
    this.#release(before);
    this.#storage = after;
  }

  #release(storage: KeyValue | undefined): void {
    storage?.k.dispose();
    storage?.v.dispose();
  }
}
