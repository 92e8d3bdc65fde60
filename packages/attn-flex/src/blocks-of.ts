import { toProgram, type KernelInputs, type Mask } from "@polyhead/core";
import { Bounded, numberOf } from "@polyhead/gpu";
import type { Engine, Tensor } from "@polyhead/tensor";
import { isRange, tellsApart } from "./as-mask.ts";
import type { BlockMask } from "./block-mask.ts";
import { createBlockMask } from "./create-block-mask.ts";

/** How masks are cut where nobody says so. */
export interface BlockPolicy {
  readonly queryBlock: 16 | 32 | 64 | 128 | 256;
  readonly keyBlock: 16 | 32 | 64 | 128 | 256;
  /** Whether lists are made for masks that are a range of keys, too. */
  readonly ranges: boolean;
  /** With fewer queries, asking the mask for each cell costs no more than telling its blocks apart. */
  readonly leastQueries: number;
  /** With fewer keys there is little to leave out. */
  readonly leastKeys: number;
}

/** What {@link flexAttention} and the plugin do of their own accord. */
export const AUTOMATIC: BlockPolicy = { queryBlock: 128, keyBlock: 128, ranges: false, leastQueries: 64, leastKeys: 256 };

/** Block masks kept for one mask on one engine: lengths of batches vary, and captures change. */
const MOST_KEPT = 8;

const kept = new WeakMap<Engine, WeakMap<Mask, Bounded<string, BlockMask>>>();

/** Why a mask is walked without block lists; undefined where lists are made. */
export function whyNoBlocks(mask: Mask, { queries, keys }: { readonly queries: number; readonly keys: number }, { ranges, leastQueries, leastKeys }: BlockPolicy = AUTOMATIC): string | undefined {
  if (!ranges && isRange(mask)) return "the mask is a range of keys";
  if (queries < leastQueries) return `${String(queries)} ${queries === 1 ? "query looks" : "queries look"} at each cell of the mask once`;
  return keys < leastKeys ? `there are only ${String(keys)} keys` : undefined;
}

/** A block mask for a call, and who is to dispose of it. */
export interface Borrowed {
  readonly blockMask: BlockMask;
  /** Made for this call alone. */
  readonly own: boolean;
}

/**
 * The block mask of a call's mask: kept by mask, sizes and versions of its captures, the last few of each mask.
 *
 * Within a recording, blocks of a mask with captures are told apart by the recording itself, so that replays see what captures
 * hold by then. Undefined where lists gain nothing, or positions move from replay to replay.
 */
export function blocksOf({ q, k, mask, qOffset, kvOffset, pages }: KernelInputs<Tensor>, policy: BlockPolicy = AUTOMATIC): Borrowed | undefined {
  const [B = 0, Hq = 0, queries = 0] = q.shape;
  const keys = k.shape[2] ?? 0;
  const { engine } = q;
  const recording = engine.gpu.recording;
  const moves = recording && (typeof qOffset !== "number" || typeof kvOffset !== "number");
  if (pages !== undefined || moves || queries === 0 || keys === 0 || whyNoBlocks(mask, { queries, keys }, policy) !== undefined) return undefined;
  const apart = tellsApart(mask);
  const { queryBlock, keyBlock } = policy;
  const options = {
    batch: apart.batch ? B : 1, heads: apart.heads ? Hq : 1, queries, keys, queryBlock, keyBlock,
    qOffset: numberOf(qOffset), kvOffset: numberOf(kvOffset),
  };
  const { captures } = toProgram(mask);
  if (recording && captures.length > 0) return { blockMask: createBlockMask(engine, mask, { ...options, by: "gpu" }), own: true };
  const key = [...Object.values(options), "", ...captures.map(({ version }) => version)].join();
  return { blockMask: keptFor(engine, mask).get(key, () => engine.gpu.unrecorded(() => createBlockMask(engine, mask, options))), own: false };
}

function keptFor(engine: Engine, mask: Mask): Bounded<string, BlockMask> {
  let byMask = kept.get(engine);
  if (byMask === undefined) kept.set(engine, (byMask = new WeakMap()));
  let masks = byMask.get(mask);
  if (masks === undefined) byMask.set(mask, (masks = new Bounded(MOST_KEPT, (old) => { old.dispose(); })));
  return masks;
}
