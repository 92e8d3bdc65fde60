import { servesQueries, type BlockLists } from "@polyhead/attn-flash/kernel";
import { describe, PolyheadError, toProgram, type Mask } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { readStates } from "./block-lists.ts";
import { digestOf } from "./digest.ts";
import { findEmptyRows, type EmptyRows } from "./empty-rows.ts";
import { toSvg, toText, type Picture } from "./picture.ts";
import { toRuns, type BlockMaskData } from "./serial.ts";
import { checkSizes, EMPTY, FULL, PARTIAL, type BlockSizes } from "./sizes.ts";

/** Who tells blocks apart. `auto`: intervals, as long as they leave no block open; else the GPU. */
export type ClassifyBy = "auto" | "gpu" | "intervals";

/** Lists, who told blocks apart, and how to do it again for other sizes. */
export interface Told {
  readonly lists: BlockLists;
  readonly classifiedBy: "gpu" | "intervals";
  readonly by: ClassifyBy;
  readonly build: (sizes: BlockSizes, by: ClassifyBy) => BlockMask;
}

/** How much of a mask there is to compute. */
export interface Sparsity {
  readonly blocks: number;
  readonly full: number;
  readonly partial: number;
  readonly empty: number;
  /** Blocks that are left out, of all: 0 is dense, towards 1 is sparse. */
  readonly skipped: number;
}

/** A batch row and a head to look at. */
export interface Plane {
  readonly b?: number;
  readonly h?: number;
}

/** A mask with the list of its blocks that are not empty; made by `createBlockMask`. */
export class BlockMask implements BlockSizes {
  readonly kind = "block-mask";
  readonly engine: Engine;
  readonly mask: Mask;
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly queryBlock: number;
  readonly keyBlock: number;
  readonly qOffset: number;
  readonly kvOffset: number;
  /** What kernels walk. A slice may share the lists of the whole. */
  readonly lists: BlockLists;
  /** Who told the blocks apart. */
  readonly classifiedBy: "gpu" | "intervals";
  readonly #versions: readonly number[];
  readonly #by: ClassifyBy;
  readonly #build: Told["build"];

  /** Use `createBlockMask`. */
  constructor(engine: Engine, mask: Mask, sizes: BlockSizes, { lists, classifiedBy, by, build }: Told) {
    this.engine = engine;
    this.mask = mask;
    this.batch = sizes.batch;
    this.heads = sizes.heads;
    this.queries = sizes.queries;
    this.keys = sizes.keys;
    this.queryBlock = sizes.queryBlock;
    this.keyBlock = sizes.keyBlock;
    this.qOffset = sizes.qOffset;
    this.kvOffset = sizes.kvOffset;
    this.lists = lists;
    this.classifiedBy = classifiedBy;
    this.#versions = captureVersions(mask);
    this.#by = by;
    this.#build = build;
    collected.register(this, lists);
  }

  /** Whether the mask reads numbers that may change. */
  get hasCaptures(): boolean {
    return this.#versions.length > 0;
  }

  /** Whether `capture.set` gave a capture of the mask other numbers since: then the blocks no longer stand for it. */
  get stale(): boolean {
    const now = captureVersions(this.mask);
    return this.#versions.some((version, n) => version !== now[n]);
  }

  /** Whether kernels can walk these lists for rows from global position `qOffset` on: tiles must lie within blocks. */
  serves({ qOffset, queries }: { readonly qOffset: number; readonly queries: number }): boolean {
    return servesQueries(this.lists, qOffset, queries);
  }

  /**
   * The mask of some of the queries, for decoding and for chunks: of `queries` rows from global position `qOffset` on. Shares
   * the lists where these rows begin 16, 32, … rows into them or lie within one block; else blocks are told apart anew. Dispose
   * of it separately.
   *
   * @throws PolyheadError `FLEX_BLOCK_MASK` for rows that the mask does not cover; `FLEX_STALE`.
   */
  slice({ qOffset, queries }: { readonly qOffset: number; readonly queries: number }): BlockMask {
    this.refuseStale();
    const sizes = checkSizes({ ...sizesOf(this), qOffset, queries });
    if (qOffset < this.qOffset || qOffset + queries > this.qOffset + this.queries) {
      throw new PolyheadError("FLEX_BLOCK_MASK", `a slice of positions ${String(qOffset)} to ${String(qOffset + queries - 1)}; the block mask covers ${String(this.qOffset)} to ${String(this.qOffset + this.queries - 1)}`, "create the block mask for all positions that you will ask about");
    }
    if (!this.serves({ qOffset, queries })) return this.#build(sizes, this.#by);
    const lists = { ...this.lists, keysOf: this.lists.keysOf.alias(), queriesOf: this.lists.queriesOf.alias() };
    return new BlockMask(this.engine, this.mask, sizes, { lists, classifiedBy: this.classifiedBy, by: this.#by, build: this.#build });
  }

  /** The same blocks told apart anew, by what the captures hold now. */
  rebuild(by: ClassifyBy = this.#by): BlockMask {
    return this.#build(sizesOf(this), by);
  }

  /** The state of each block, `[batch, heads, blocks of queries, blocks of keys]`: 0 empty, 1 partial, 2 full. */
  async states(): Promise<Uint8Array> {
    const all = await readStates(this.lists);
    const { queryBlocks, keyBlocks, qOrigin, queryBlock, batch, heads } = this.lists;
    const from = Math.floor((this.qOffset - qOrigin) / queryBlock);
    const rows = Math.floor((this.qOffset + this.queries - 1 - qOrigin) / queryBlock) - from + 1;
    if (rows === queryBlocks) return all;
    const states = new Uint8Array(batch * heads * rows * keyBlocks);
    for (let plane = 0; plane < batch * heads; plane++) {
      const start = (plane * queryBlocks + from) * keyBlocks;
      states.set(all.subarray(start, start + rows * keyBlocks), plane * rows * keyBlocks);
    }
    return states;
  }

  /** How many blocks are full, partial and empty. */
  async sparsity(): Promise<Sparsity> {
    const states = await this.states();
    const count = (wanted: number): number => states.reduce((sum, state) => sum + (state === wanted ? 1 : 0), 0);
    const [full, partial, empty] = [count(FULL), count(PARTIAL), count(EMPTY)];
    return { blocks: states.length, full, partial, empty, skipped: empty / states.length };
  }

  /** Queries that see no key: they are legal, and give zeros. */
  emptyRows(): Promise<EmptyRows> {
    this.refuseStale();
    return findEmptyRows(this.engine, this.mask, sizesOf(this), this.lists);
  }

  /** For those to whom a query without a key is a mistake. @throws PolyheadError `FLEX_EMPTY_ROW` naming the first. */
  async refuseEmptyRows(): Promise<void> {
    const { count, first } = await this.emptyRows();
    if (first === undefined) return;
    const { b, h, q } = first;
    throw new PolyheadError("FLEX_EMPTY_ROW", `the mask ${describe(this.mask)} leaves ${String(count)} ${count === 1 ? "query" : "queries"} without a key, first b = ${String(b)}, h = ${String(h)}, q = ${String(q)}`, "let every query see itself, for example or(mask, custom(maskMod`kv == q`)), or accept zeros for these rows");
  }

  /** As JSON, to be read by {@link loadBlockMask}. */
  async serialize(): Promise<BlockMaskData> {
    this.refuseStale();
    const aligned = (this.qOffset - this.lists.qOrigin) % this.queryBlock === 0 ? this : this.rebuild();
    const runs = toRuns(await aligned.states());
    if (aligned !== this) aligned.dispose();
    return { kind: "block-mask", version: 1, ...sizesOf(this), digest: digestOf(this.mask), runs };
  }

  /** The blocks of one batch row and head for a terminal: `█` full, `▒` partial, `·` empty. */
  async draw(plane: Plane = {}): Promise<string> {
    return toText(await this.#picture(plane));
  }

  /** The blocks of one batch row and head as an SVG. */
  async toSVG(plane: Plane = {}): Promise<string> {
    return toSvg(await this.#picture(plane));
  }

  /** Gives the lists back. A tape that needs them still keeps them. */
  dispose(): void {
    this.lists.keysOf.dispose();
    this.lists.queriesOf.dispose();
  }

  /** @throws PolyheadError `FLEX_STALE` when captures of the mask have changed since. */
  refuseStale(): void {
    if (!this.stale) return;
    throw new PolyheadError("FLEX_STALE", `captures of the mask ${describe(this.mask)} were set since its blocks were told apart`, "use blockMask.rebuild(), or pass the mask itself, whose blocks are then kept by what captures hold");
  }

  async #picture({ b = 0, h = 0 }: Plane): Promise<Picture> {
    const states = await this.states();
    const { keyBlocks } = this.lists;
    const rows = states.length / this.batch / this.heads / keyBlocks;
    const plane = (Math.min(b, this.batch - 1) * this.heads + Math.min(h, this.heads - 1)) * rows * keyBlocks;
    const title = `${describe(this.mask)}: ${String(this.queries)} × ${String(this.keys)} in blocks of ${String(this.queryBlock)} × ${String(this.keyBlock)}`;
    return { title, rows, columns: keyBlocks, shade: (i, j) => (states[plane + i * keyBlocks + j] ?? EMPTY) / FULL };
  }
}

// The collector knows nothing of the pool: without this, lists of a forgotten block mask would stay for ever.
const collected = new FinalizationRegistry<BlockLists>(({ keysOf, queriesOf }) => {
  keysOf.dispose();
  queriesOf.dispose();
});

const captureVersions = (mask: Mask): readonly number[] => toProgram(mask).captures.map(({ version }) => version);

const sizesOf = ({ batch, heads, queries, keys, queryBlock, keyBlock, qOffset, kvOffset }: BlockSizes): BlockSizes => ({ batch, heads, queries, keys, queryBlock, keyBlock, qOffset, kvOffset });
