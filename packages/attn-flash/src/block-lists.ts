import { PolyheadError, type KernelInputs } from "@polyhead/core";
import { derived, numberOf, type Scalar } from "@polyhead/gpu";
import type { Sizes } from "@polyhead/attn-mha/kernel";
import type { Tensor } from "@polyhead/tensor";

/** Which blocks of keys each block of queries looks at, and the other way round. Positions are global. */
export interface BlockLists {
  /** Rows of a block of queries: a power of two, 16 … 256. */
  readonly queryBlock: number;
  /** Rows of a block of keys, likewise. */
  readonly keyBlock: number;
  /** Global position at which block 0 of queries starts: row i is in block `(qOffset + i − qOrigin) / queryBlock`. */
  readonly qOrigin: number;
  /** Global position at which block 0 of keys starts. */
  readonly kvOrigin: number;
  /** 1, or the batch. */
  readonly batch: number;
  /** 1, or the query heads. */
  readonly heads: number;
  readonly queryBlocks: number;
  readonly keyBlocks: number;
  /** i32 `[batch, heads, queryBlocks, 1 + keyBlocks]`: a count, then `block << 1 | full`, ascending; the rest is not read. Full: the mask allows every cell of the block. */
  readonly keysOf: Tensor;
  /** i32 `[batch, heads, keyBlocks, 1 + queryBlocks]`: the same seen from keys, for gradients of k and v. */
  readonly queriesOf: Tensor;
}

/** The most rows that a tile of queries and one of keys may have, so as to lie within a block. */
export interface TileLimits {
  readonly q: number;
  readonly k: number;
}

type Placed = Pick<KernelInputs<Tensor>, "qOffset" | "kvOffset" | "keys">;

function refuse(what: string, expected: string, fix = "build the lists for this problem, as createBlockMask does"): never {
  throw new PolyheadError("ATTN_BLOCKS", `${what}; expected ${expected}`, fix);
}

function checkBlocks(blocks: BlockLists, { B, Hq }: Pick<Sizes, "B" | "Hq">): void {
  const { queryBlock, keyBlock, qOrigin, kvOrigin, batch, heads, queryBlocks, keyBlocks, keysOf, queriesOf } = blocks;
  for (const [name, n] of Object.entries({ queryBlock, keyBlock })) if (!(n >= 16 && n <= 256 && Number.isInteger(Math.log2(n)))) refuse(`${name} is ${n}`, "a power of two from 16 to 256");
  for (const [name, n] of Object.entries({ qOrigin, kvOrigin })) if (!Number.isInteger(n)) refuse(`${name} is ${n}`, "a whole number");
  if ((batch !== 1 && batch !== B) || (heads !== 1 && heads !== Hq)) refuse(`lists for a batch of ${batch} and ${heads} heads`, `1 or ${B}, and 1 or ${Hq}`);
  const lists = { keysOf: [keysOf, [batch, heads, queryBlocks, 1 + keyBlocks]], queriesOf: [queriesOf, [batch, heads, keyBlocks, 1 + queryBlocks]] } as const;
  for (const [name, [x, shape]] of Object.entries(lists)) if (x.dtype !== "i32" || x.shape.join() !== shape.join()) refuse(`${name} is ${x.dtype} [${x.shape.join(", ")}]`, `i32 [${shape.join(", ")}]`);
}

/** The largest power of two that divides n, up to `most`. */
const evenness = (n: number, most: number): number => (n % most !== 0 ? evenness(n, most / 2) : most);

/** The least rows that blocks must let a tile have. Less would be slow, and not on every device. */
const LEAST = 16;

/** Whether rows of q lie in one block of queries, wherever they are. */
const inOneBlock = ({ queryBlock, qOrigin }: Pick<BlockLists, "queryBlock" | "qOrigin">, qOffset: number, Tq: number): boolean => Math.floor((qOffset - qOrigin) / queryBlock) === Math.floor((qOffset - qOrigin + Tq - 1) / queryBlock);

/** Whether lists can be walked by Tq queries from global position `qOffset` on: within one block, or from where tiles lie within blocks. */
export const servesQueries = (blocks: Pick<BlockLists, "queryBlock" | "qOrigin">, qOffset: number, Tq: number): boolean => inOneBlock(blocks, qOffset, Tq) || (qOffset - blocks.qOrigin) % LEAST === 0;

/**
 * The rows that tiles may have, with the offsets as they are now: each a power of two of at least 16.
 *
 * @throws PolyheadError `ATTN_BLOCKS` naming what does not fit the problem.
 */
export function tileLimits(blocks: BlockLists, { qOffset, kvOffset }: Placed, sizes: Pick<Sizes, "B" | "Hq" | "Tq">): TileLimits {
  checkBlocks(blocks, sizes);
  const { queryBlock, keyBlock, qOrigin, kvOrigin } = blocks;
  const [q, kv] = [numberOf(qOffset), numberOf(kvOffset)];
  const limits = { q: inOneBlock(blocks, q, sizes.Tq) ? Infinity : evenness(q - qOrigin, queryBlock), k: evenness(kv - kvOrigin, keyBlock) };
  if (!servesQueries(blocks, q, sizes.Tq)) refuse(`${sizes.Tq} queries from position ${q} on with blocks of ${queryBlock} from position ${qOrigin} on`, `a multiple of ${LEAST} in between`, `rebuild the block mask with a qOrigin of ${q}`);
  if (limits.k < LEAST) refuse(`keys from position ${kv} on with blocks of ${keyBlock} from position ${kvOrigin} on`, `a multiple of ${LEAST} in between`, `rebuild the block mask with a kvOrigin of ${kv}`);
  return limits;
}

/** The offsets of a call whose tiles have at most `rows` rows: checked now, and again whenever a recorded step is replayed. */
export function checkedOffsets(blocks: BlockLists, { qOffset, kvOffset, keys }: Placed, { Tq, Tk }: Pick<Sizes, "Tq" | "Tk">, rows: TileLimits): { readonly qOffset: Scalar; readonly kvOffset: Scalar } {
  const { queryBlock, keyBlock, qOrigin, kvOrigin, queryBlocks, keyBlocks } = blocks;
  const queries = (offset: number): number => {
    const at = offset - qOrigin;
    if (at < 0 || at + Tq > queryBlocks * queryBlock) refuse(`${Tq} queries from position ${offset} on with lists for positions ${qOrigin} to ${qOrigin + queryBlocks * queryBlock - 1}`, "queries that the lists cover");
    if (at % rows.q !== 0 && !inOneBlock(blocks, offset, Tq)) refuse(`${Tq} queries from position ${offset} on, in tiles of ${rows.q} rows, with blocks of ${queryBlock} from position ${qOrigin} on`, "tiles that lie within a block", `rebuild the block mask with a qOrigin of ${offset}`);
    return offset;
  };
  const rowsOfKeys = (offset: number): number => {
    const at = offset - kvOrigin;
    const inUse = keys === undefined ? Tk : numberOf(keys);
    if (at < 0 || at + inUse > keyBlocks * keyBlock) refuse(`${inUse} keys from position ${offset} on with lists for positions ${kvOrigin} to ${kvOrigin + keyBlocks * keyBlock - 1}`, "keys that the lists cover");
    if (at % rows.k !== 0) refuse(`keys from position ${offset} on, in tiles of ${rows.k} rows, with blocks of ${keyBlock} from position ${kvOrigin} on`, "tiles that lie within a block", `rebuild the block mask with a kvOrigin of ${offset}`);
    return offset;
  };
  return { qOffset: derived(qOffset, queries), kvOffset: derived(kvOffset, rowsOfKeys) };
}

/** Scalars of `BLOCK_PARAMS` but for where the lists lie. */
export const blockScalars = ({ batch, heads, queryBlock, keyBlock, queryBlocks, keyBlocks, qOrigin, kvOrigin }: BlockLists): Record<string, number> => ({
  blockB: batch === 1 ? 0 : heads, blockH: heads === 1 ? 0 : 1, queryBlock, keyBlock, queryBlocks, keyBlocks, qOrigin, kvOrigin,
});
