import { describe, PolyheadError, toProgram, type Mask, type Program } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { asMask } from "./as-mask.ts";
import { listsOfArray, listsOfTensor } from "./block-lists.ts";
import { BlockMask, type ClassifyBy, type Told } from "./block-mask.ts";
import { classifyByIntervals, isKnown } from "./classify-intervals.ts";
import { classifyOnGpu } from "./classify-gpu.ts";
import { parseBlockMask, type BlockMaskData } from "./serial.ts";
import { checkSizes, gridOf, type BlockSizes } from "./sizes.ts";

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
  const told = (facts: Pick<Told, "lists" | "classifiedBy">): BlockMask => new BlockMask(engine, mask, sizes, { ...facts, by, build: (other, again) => build(engine, mask, other, again) });
  const placeholder = toProgram(mask).captures.find(({ data }) => data.length === 0);
  if (placeholder !== undefined) throw new PolyheadError("FLEX_CAPTURES", `the mask reads placeholder '${placeholder.name}', which has no numbers of its own`, "capture the numbers, and change them with capture.set");
  if (by === "intervals" && !isKnown(mask)) throw new PolyheadError("FLEX_CAPTURES", `the mask ${describe(mask)} reads learned numbers, which live on the device`, "classify by: 'gpu'");
  if (by !== "gpu") {
    const { queryBlocks, keyBlocks } = gridOf(sizes);
    const few = sizes.batch * sizes.heads * queryBlocks * keyBlocks <= MOST_ON_CPU;
    const found = by === "intervals" || (few && isKnown(mask)) ? classifyByIntervals(mask, sizes, by === "intervals" ? Infinity : 0) : undefined;
    if (found !== undefined && (by === "intervals" || found.undecided === 0)) {
      return told({ lists: listsOfArray(engine, found.states, sizes), classifiedBy: "intervals" });
    }
  }
  const lists = engine.noGrad(() => engine.scope(() => listsOfTensor(engine, classifyOnGpu(engine, mask, sizes), sizes)));
  return told({ lists, classifiedBy: "gpu" });
}

/**
 * A block mask from what `serialize` gave.
 *
 * @throws PolyheadError `FLEX_BLOCK_MASK` for what is no block mask, or that of another mask or of captures with other numbers.
 */
export function loadBlockMask(engine: Engine, mask: Mask | Program, data: BlockMaskData): BlockMask {
  const made = asMask(mask);
  const { sizes, states } = parseBlockMask(made, data);
  return new BlockMask(engine, made, sizes, { lists: listsOfArray(engine, states, sizes), classifiedBy: "intervals", by: "auto", build: (other, by) => build(engine, made, other, by) });
}
