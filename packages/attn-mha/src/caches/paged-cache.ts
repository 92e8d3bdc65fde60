import type { Engine, Tensor } from "@polyhead/tensor";
import { PolyheadError } from "@polyhead/core";
import { PagePool, type PagePoolOptions } from "./page-pool.ts";
import { RowCache, type HeldRows, type RowCacheOptions } from "./row-cache.ts";
import { writeRows, type KeyValue } from "./write-rows.ts";

export interface PagedCacheOptions extends Omit<RowCacheOptions, "dtype"> {
  /** A pool to share with other caches of the same layer, or what one of its own is made for. */
  readonly pool: PagePool | PagePoolOptions;
}

/**
 * A cache whose rows lie in pages of a pool, found through a table on the device: pages are taken as the text grows and given back
 * by `truncate` and `dispose`. When it slides, whole pages are dropped, and no row is copied.
 *
 * `fork` shares pages with another cache until one of the two writes into them: beams, or many continuations of one prompt.
 */
export class PagedCache extends RowCache {
  readonly kind = "paged";
  readonly pool: PagePool;
  readonly #engine: Engine;
  readonly #options: PagedCacheOptions;
  /** i32 `[B, columns]`. */
  readonly #table: Tensor;
  /** The pages of each sequence, from the one that holds row `timeline.first`. */
  #pages: number[][];
  #disposed = false;

  constructor(engine: Engine, options: PagedCacheOptions) {
    const { pool } = options;
    super({ ...options, ...(pool.dtype && { dtype: pool.dtype }) });
    this.#engine = engine;
    this.#options = options;
    this.pool = "open" in pool ? pool.open() : new PagePool(engine, pool);
    const { batch, capacity, window } = this;
    // Dropping whole pages leaves up to one more than the capacity asks for.
    const columns = Math.ceil(capacity / this.pool.pageSize) + (window === undefined ? 0 : 1);
    this.#table = engine.keep(engine.zeros([batch, columns], "i32"));
    this.#pages = Array.from({ length: batch }, () => []);
  }

  get tensors(): Readonly<Record<string, Tensor>> {
    return { ...this.pool.storage, table: this.#table };
  }

  /** Its pages, those shared with other caches or sequences counted once, and its table. */
  get bytes(): number {
    return new Set(this.#pages.flat()).size * this.pool.pageBytes + this.#table.size * 4;
  }

  reserve(rows: number): void {
    const { timeline, pool } = this;
    const { pageSize } = pool;
    const drop = timeline.overflows(rows) ? Math.floor((timeline.needed - timeline.first) / pageSize) : 0;
    const held = timeline.held - drop * pageSize;
    const wanted = Math.ceil((held + rows) / pageSize);
    const last = Math.floor(held / pageSize);
    // New ones, and copies of the page that the first new row goes to: all of its holders but one need one, and those elsewhere keep it.
    const fresh = this.#pages.reduce((sum, pages) => sum + Math.max(0, wanted + drop - pages.length), 0);
    const copies = tally(this.#pages.flatMap((pages) => pages.slice(last + drop, last + drop + 1))).map(([page, mine]) => (pool.holders(page) > mine ? mine : mine - 1));
    const freed = tally(this.#pages.flatMap((pages) => pages.slice(0, drop))).filter(([page, mine]) => pool.holders(page) === mine);
    pool.reserve(fresh + copies.reduce((sum, n) => sum + n, 0) - freed.length);

    let changed = drop > 0;
    for (const pages of this.#pages) {
      for (const page of pages.splice(0, drop)) pool.give(page);
      const page = pages[last];
      if (page !== undefined && pool.holders(page) > 1) {
        const own = pool.take();
        pool.copy(page, own);
        pool.give(page);
        pages[last] = own;
        changed = true;
      }
      while (pages.length < wanted) {
        pages.push(pool.take());
        changed = true;
      }
    }
    timeline.first += drop * pageSize;
    if (changed) this.#upload();
  }

  protected store(rows: KeyValue, count: number): HeldRows {
    const { held, first } = this.timeline;
    const pages = { table: this.#table, size: this.pool.pageSize };
    const { storage } = this.pool;
    writeRows(storage, rows, { at: held, pages, shared: this.pool.sharedValues !== undefined });
    return { ...storage, pages, keys: held + count, kvOffset: first };
  }

  override truncate(length: number): void {
    super.truncate(length);
    const kept = Math.ceil(this.timeline.held / this.pool.pageSize);
    for (const pages of this.#pages) for (const page of pages.splice(kept)) this.pool.give(page);
  }

  /**
   * A cache that goes on from here with the given sequences, in this order, each as often as it is named: `[0, 0, 2]` makes three.
   * Default: all. No row is copied until one of the caches writes into a page that the other holds.
   *
   * @throws PolyheadError `ATTN_CACHE_FORK` naming a sequence that there is not.
   */
  fork(sequences: readonly number[] = this.#pages.map((_, b) => b)): PagedCache {
    const missing = sequences.find((b) => this.#pages[b] === undefined);
    if (missing !== undefined) throw new PolyheadError("ATTN_CACHE_FORK", `sequence ${missing} of a cache of ${this.batch}`, `name sequences from 0 to ${this.batch - 1}`);
    const twin = new PagedCache(this.#engine, { ...this.#options, pool: this.pool, batch: sequences.length });
    twin.timeline.length = this.timeline.length;
    twin.timeline.first = this.timeline.first;
    // Not those that are reserved and hold nothing yet.
    const used = Math.ceil(this.timeline.held / this.pool.pageSize);
    twin.#pages = sequences.map((b) => this.#pages[b]!.slice(0, used));
    for (const page of twin.#pages.flat()) this.pool.share(page);
    twin.#upload();
    return twin;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const page of this.#pages.flat()) this.pool.give(page);
    this.#pages = this.#pages.map(() => []);
    this.#table.dispose();
    this.pool.dispose();
  }

  #upload(): void {
    const [, columns = 0] = this.#table.shape;
    const entries = new Int32Array(this.#table.size);
    this.#pages.forEach((pages, b) => { entries.set(pages, b * columns); });
    this.#engine.upload(this.#table, entries);
  }
}

/** How often each page is named. */
function tally(pages: readonly number[]): [page: number, times: number][] {
  const times = new Map<number, number>();
  for (const page of pages) times.set(page, (times.get(page) ?? 0) + 1);
  return [...times];
}
