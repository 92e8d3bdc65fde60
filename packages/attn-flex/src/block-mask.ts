import type { BlockLists } from "@polyhead/attn-flash/kernel";
import { describe, PolyheadError, toProgram, type Mask, type Program } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { asMask, tellsApart } from "./as-mask.ts";
import { listsOfArray, listsOfTensor, readStates } from "./block-lists.ts";
import { classifyByIntervals, isKnown } from "./classify-intervals.ts";
import { classifyOnGpu } from "./classify-gpu.ts";
import { digestOf } from "./digest.ts";
import { findEmptyRows, type EmptyRows } from "./empty-rows.ts";
import { toSvg, toText, type Picture } from "./picture.ts";
import { parseBlockMask, toRuns, type BlockMaskData } from "./serial.ts";
import { checkSizes, EMPTY, FULL, gridOf, PARTIAL, type BlockSizes } from "./sizes.ts";

/** Who tells blocks apart. `auto`: intervals, as long as they leave no block open; else the GPU. */
export type ClassifyBy = "auto" | "gpu" | "intervals";

/** Options of {@link createBlockMask}. */
export interface BlockMaskOptions {
  /** Batch rows to tell apart. Default 1: the mask is the same for all. */
  readonly batch?: number;
  /** Query heads to tell apart. Default 1: the mask is the same for all. */
  readonly heads?: number;
  readonly queries: number;
  readonly keys: number;
  /** Rows of a block: 16, 32, 64, 128 (default) or 256. */
  readonly queryBlock?: number;
  /** Columns of a block: 16, 32, 64, 128 (default) or 256. */
  readonly keyBlock?: number;
  /** Global position of the first query. Default 0. */
  readonly qOffset?: number;
  /** Global position of the first key. Default 0. */
  readonly kvOffset?: number;
  readonly by?: ClassifyBy;
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

/** A mask with the list of its blocks that are not empty; made by {@link createBlockMask}. */
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

  /** Use {@link createBlockMask}. */
  constructor(engine: Engine, mask: Mask, sizes: BlockSizes, { lists, classifiedBy, by }: { readonly lists: BlockLists; readonly classifiedBy: "gpu" | "intervals"; readonly by: ClassifyBy }) {
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
    const { qOrigin, queryBlock } = this.lists;
    const first = qOffset - qOrigin;
    return first % LEAST_TILE === 0 || Math.floor(first / queryBlock) === Math.floor((first + queries - 1) / queryBlock);
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
    if (!this.serves({ qOffset, queries })) return build(this.engine, this.mask, sizes, this.#by);
    const lists = { ...this.lists, keysOf: this.lists.keysOf.alias(), queriesOf: this.lists.queriesOf.alias() };
    return new BlockMask(this.engine, this.mask, sizes, { lists, classifiedBy: this.classifiedBy, by: this.#by });
  }

  /** The same blocks told apart anew, by what the captures hold now. */
  rebuild(by: ClassifyBy = this.#by): BlockMask {
    return build(this.engine, this.mask, sizesOf(this), by);
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

/** Rows of the least tile that kernels take within a block. */
const LEAST_TILE = 16;

/** More blocks than this are told apart on the GPU: the CPU would take longer than an attention. */
const MOST_ON_CPU = 2 ** 16;

/**
 * Tells the blocks of a mask apart: empty ones are left out, full ones need no mask, partial ones ask it for each cell. Never
 * takes memory for the cells, only for blocks. `mask` is one of core's, or a maskMod program.
 *
 * On the GPU every cell is looked at, and the answer is exact. By intervals, blocks are proved full or empty on the CPU without
 * looking at cells; a block that bounds leave open is called partial, which is never wrong.
 *
 * @throws PolyheadError `FLEX_BLOCK_MASK` for impossible sizes, `FLEX_CAPTURES`, `MASK_PROGRAM`.
 */
export function createBlockMask(engine: Engine, mask: Mask | Program, options: BlockMaskOptions): BlockMask {
  const { batch = 1, heads = 1, queries, keys, queryBlock = 128, keyBlock = 128, qOffset = 0, kvOffset = 0, by = "auto" } = options;
  return build(engine, asMask(mask), checkSizes({ batch, heads, queries, keys, queryBlock, keyBlock, qOffset, kvOffset }), by);
}

function build(engine: Engine, mask: Mask, sizes: BlockSizes, by: ClassifyBy): BlockMask {
  const placeholder = toProgram(mask).captures.find(({ data }) => data.length === 0);
  if (placeholder !== undefined) throw new PolyheadError("FLEX_CAPTURES", `the mask reads placeholder '${placeholder.name}', which has no numbers of its own`, "capture the numbers, and change them with capture.set");
  if (by === "intervals" && !isKnown(mask)) throw new PolyheadError("FLEX_CAPTURES", `the mask ${describe(mask)} reads learned numbers, which live on the device`, "classify by: 'gpu'");
  if (by !== "gpu") {
    const { queryBlocks, keyBlocks } = gridOf(sizes);
    const few = sizes.batch * sizes.heads * queryBlocks * keyBlocks <= MOST_ON_CPU;
    const found = by === "intervals" || (few && isKnown(mask)) ? classifyByIntervals(mask, sizes, by === "intervals" ? Infinity : 0) : undefined;
    if (found !== undefined && (by === "intervals" || found.undecided === 0)) {
      return new BlockMask(engine, mask, sizes, { lists: listsOfArray(engine, found.states, sizes), classifiedBy: "intervals", by });
    }
  }
  const lists = engine.noGrad(() => engine.scope(() => listsOfTensor(engine, classifyOnGpu(engine, mask, sizes), sizes)));
  return new BlockMask(engine, mask, sizes, { lists, classifiedBy: "gpu", by });
}

/**
 * A block mask from what `serialize` gave.
 *
 * @throws PolyheadError `FLEX_BLOCK_MASK` for what is no block mask, or that of another mask or of captures with other numbers.
 */
export function loadBlockMask(engine: Engine, mask: Mask | Program, data: BlockMaskData): BlockMask {
  const made = asMask(mask);
  const { sizes, states } = parseBlockMask(made, data);
  return new BlockMask(engine, made, sizes, { lists: listsOfArray(engine, states, sizes), classifiedBy: "intervals", by: "auto" });
}

/**
 * Whether a block mask may stand for a call of B batch rows and H heads. @throws PolyheadError `FLEX_BLOCK_MASK`.
 */
export function checkPlanes(block: BlockMask, { B, H }: { readonly B: number; readonly H: number }): void {
  const apart = tellsApart(block.mask);
  for (const [axis, given, wanted, told] of [["batch", block.batch, B, apart.batch], ["heads", block.heads, H, apart.heads]] as const) {
    if (given === wanted || (given === 1 && !told)) continue;
    throw new PolyheadError("FLEX_BLOCK_MASK", `the block mask was made for ${axis} = ${String(given)} and the call has ${String(wanted)}${given === 1 ? ", which the mask tells apart" : ""}`, `create it with ${axis}: ${told ? String(wanted) : "1, since the mask is the same for all"}`);
  }
}
