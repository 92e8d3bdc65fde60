import { PolyheadError } from "@polyhead/core";
import { flatGrid } from "@polyhead/gpu";
import type { Engine } from "@polyhead/tensor";
import { copyPageKernel } from "../kernels/copy-page.ts";
import { bytesOf, keyValueStorage, type KeyValue } from "./write-rows.ts";

export interface PagePoolOptions {
  readonly kvHeads: number;
  readonly headDim: number;
  /** Values are the first features of their keys, this many. Default: values have memory of their own. */
  readonly sharedValues?: number | undefined;
  readonly dtype?: "f32" | "f16";
  /** Rows of a page: a power of two from 16 to 256. Default 64. */
  readonly pageSize?: number;
  /** Pages that it holds at most. Default: as many as the device has memory for. */
  readonly pages?: number;
}

/** Pages that are taken from the device at first. */
const SMALLEST = 4;

/**
 * Pages of keys and values of one layer, `[pages, Hkv, size, D]`, for all sequences of all caches that share it. A page is counted
 * by how many sequences hold it. Memory doubles as often as it must.
 */
export class PagePool {
  readonly pageSize: number;
  readonly dtype: "f32" | "f16";
  readonly kvHeads: number;
  readonly headDim: number;
  readonly sharedValues: number | undefined;
  readonly #engine: Engine;
  readonly #most: number;
  /** How many sequences hold each page. */
  readonly #holders: number[] = [];
  readonly #free: number[] = [];
  #storage: KeyValue | undefined;
  #users = 1;

  /** @throws PolyheadError `ATTN_CACHE_PAGE`. */
  constructor(engine: Engine, { kvHeads, headDim, sharedValues, dtype = "f32", pageSize = 64, pages = Infinity }: PagePoolOptions) {
    if (!(pageSize >= 16 && pageSize <= 256 && Number.isInteger(Math.log2(pageSize)))) throw new PolyheadError("ATTN_CACHE_PAGE", `pages of ${pageSize} rows`, "give 16, 32, 64, 128 or 256");
    this.#engine = engine;
    this.kvHeads = kvHeads;
    this.headDim = headDim;
    this.sharedValues = sharedValues;
    this.dtype = dtype;
    this.pageSize = pageSize;
    this.#most = pages;
  }

  /** Keys and values of all pages. They are others once the pool has grown. */
  get storage(): KeyValue {
    this.#storage ??= this.#allocate(Math.min(SMALLEST, this.#most));
    return this.#storage;
  }

  /** Device memory that it takes, pages that nobody holds included. */
  get bytes(): number {
    return this.#storage === undefined ? 0 : bytesOf(this.#storage, this.#shared);
  }

  /** Bytes of one page, keys and values. */
  get pageBytes(): number {
    return (this.#shared ? 1 : 2) * this.kvHeads * this.pageSize * this.headDim * (this.dtype === "f16" ? 2 : 4);
  }

  /** Pages that somebody holds. */
  get held(): number {
    return this.#holders.length - this.#free.length;
  }

  holders(page: number): number {
    return this.#holders[page] ?? 0;
  }

  /** Makes sure that `count` pages can be taken. @throws PolyheadError `ATTN_CACHE_FULL`; nothing has changed then. */
  reserve(count: number): void {
    const wanted = this.held + count;
    if (wanted > this.#most) throw new PolyheadError("ATTN_CACHE_FULL", `${count} more pages do not fit a pool that holds ${this.held} of ${this.#most}`, "make it with more pages, or dispose of caches that share it");
    const room = this.#storage?.k.shape[0] ?? 0;
    if (wanted <= room) return;
    const before = this.#storage;
    const after = this.#allocate(Math.min(this.#most, Math.max(SMALLEST, 2 * room, wanted)));
    if (before !== undefined) {
      const { gpu } = this.#engine;
      const bytes = bytesOf(before, true);
      gpu.copy(before.k.slice(), after.k.slice(), bytes);
      if (!this.#shared) gpu.copy(before.v.slice(), after.v.slice(), bytes);
      release(before);
    }
    this.#storage = after;
  }

  /** A page for one holder; call `reserve` before. What it holds is anything. */
  take(): number {
    const page = this.#free.pop() ?? this.#holders.push(0) - 1;
    this.#holders[page] = 1;
    return page;
  }

  /** One more holds `page`. */
  share(page: number): void {
    this.#holders[page] = this.holders(page) + 1;
  }

  /** One fewer holds `page`. */
  give(page: number): void {
    const left = this.holders(page) - 1;
    this.#holders[page] = left;
    if (left === 0) this.#free.push(page);
  }

  /** Copies all rows of a page to another. */
  copy(source: number, dest: number): void {
    const { k, v } = this.storage;
    const words = this.pageBytes / (this.#shared ? 4 : 8);
    this.#engine.gpu.dispatch(copyPageKernel(this.#shared), { k: k.slice(), ...(!this.#shared && { v: v.slice() }) }, { source: source * words, dest: dest * words, words }, flatGrid(words, 64));
  }

  /** One more cache lives on it. */
  open(): this {
    this.#users++;
    return this;
  }

  /** One fewer lives on it: its maker, or a cache. Its memory goes with the last. */
  dispose(): void {
    if (--this.#users > 0) return;
    release(this.#storage);
    this.#storage = undefined;
  }

  get #shared(): boolean {
    return this.sharedValues !== undefined;
  }

  #allocate(blocks: number): KeyValue {
    const { kvHeads, headDim, sharedValues, dtype, pageSize: rows } = this;
    return keyValueStorage(this.#engine, { blocks, kvHeads, rows, headDim, sharedValues, dtype });
  }
}

function release(storage: KeyValue | undefined): void {
  storage?.k.dispose();
  storage?.v.dispose();
}
