import { PolyheadError } from "@polyhead/core";

/** What a block mask covers, and how it is cut. Positions are global: row i of the queries is `qOffset + i`. */
export interface BlockSizes {
  /** 1 where the mask does not tell batch rows apart. */
  readonly batch: number;
  /** 1 where the mask does not tell heads apart. */
  readonly heads: number;
  readonly queries: number;
  readonly keys: number;
  readonly queryBlock: number;
  readonly keyBlock: number;
  readonly qOffset: number;
  readonly kvOffset: number;
}

/** The state of a block. */
export const EMPTY = 0;
export const PARTIAL = 1;
export const FULL = 2;

/** How many blocks stand beside and below each other. */
export function gridOf({ queries, keys, queryBlock, keyBlock }: BlockSizes): { readonly queryBlocks: number; readonly keyBlocks: number } {
  return { queryBlocks: Math.ceil(queries / queryBlock), keyBlocks: Math.ceil(keys / keyBlock) };
}

/** @throws PolyheadError `FLEX_BLOCK_MASK` for sizes that no block mask has. */
export function checkSizes(sizes: BlockSizes): BlockSizes {
  for (const name of ["batch", "heads", "queries", "keys"] as const) {
    if (!(Number.isInteger(sizes[name]) && sizes[name] >= 1)) throw new PolyheadError("FLEX_BLOCK_MASK", `${name} is ${String(sizes[name])}; expected a whole number of at least 1`, `give createBlockMask the ${name} that it is to cover`);
  }
  for (const name of ["queryBlock", "keyBlock"] as const) {
    if (![16, 32, 64, 128, 256].includes(sizes[name])) throw new PolyheadError("FLEX_BLOCK_MASK", `${name} is ${String(sizes[name])}; expected 16, 32, 64, 128 or 256`, "leave it at 128, or take a smaller one for a finer mask");
  }
  for (const name of ["qOffset", "kvOffset"] as const) {
    if (!Number.isInteger(sizes[name])) throw new PolyheadError("FLEX_BLOCK_MASK", `${name} is ${String(sizes[name])}; expected a whole number`, "give the global position of the first row");
  }
  return sizes;
}
