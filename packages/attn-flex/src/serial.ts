import { PolyheadError, type Mask } from "@polyhead/core";
import { digestOf } from "./digest.ts";
import { checkSizes, EMPTY, FULL, gridOf, PARTIAL, type BlockSizes } from "./sizes.ts";

/** A block mask as JSON. */
export interface BlockMaskData extends BlockSizes {
  readonly kind: "block-mask";
  readonly version: 1;
  /** Of the mask: its program and the numbers in its captures. */
  readonly digest: string;
  /** Runs of blocks, row by row: `3e1p12f` is three empty ones, a partial one, twelve full ones. */
  readonly runs: string;
}

const LETTERS = "epf";

/** Blocks as runs of equal state. */
export function toRuns(states: Uint8Array): string {
  let text = "";
  for (let at = 0, end = 0; at < states.length; at = end) {
    for (end = at + 1; end < states.length && states[end] === states[at]; end++);
    text += `${end - at}${LETTERS[states[at] ?? 0] ?? ""}`;
  }
  return text;
}

function fromRuns(runs: string): Uint8Array {
  const parts = [...runs.matchAll(/(\d+)([epf])/g)].map(([, length = "0", letter = "e"]) => new Uint8Array(Number(length)).fill([EMPTY, PARTIAL, FULL][LETTERS.indexOf(letter)] ?? EMPTY));
  const states = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    states.set(part, at);
    at += part.length;
  }
  return states;
}

/**
 * Checks what was read, against the mask that it is to stand for.
 *
 * @throws PolyheadError `FLEX_BLOCK_MASK` for what is no block mask, or that of another mask.
 */
export function parseBlockMask(mask: Mask, data: BlockMaskData): { readonly sizes: BlockSizes; readonly states: Uint8Array } {
  if ((data.kind as unknown) !== "block-mask" || (data.version as unknown) !== 1) throw new PolyheadError("FLEX_BLOCK_MASK", `the data says kind '${data.kind}', version ${String(data.version)}; expected 'block-mask', 1`, "pass what blockMask.serialize() gave");
  const { batch, heads, queries, keys, queryBlock, keyBlock, qOffset, kvOffset } = data;
  const sizes = checkSizes({ batch, heads, queries, keys, queryBlock, keyBlock, qOffset, kvOffset });
  const digest = digestOf(mask);
  if (digest !== data.digest) throw new PolyheadError("FLEX_BLOCK_MASK", `the data was made for a mask with digest ${data.digest}; the mask given has ${digest}`, "load it with the mask that it was made for, captures included, or create it anew");
  const states = fromRuns(data.runs);
  const { queryBlocks, keyBlocks } = gridOf(sizes);
  const wanted = batch * heads * queryBlocks * keyBlocks;
  if (states.length !== wanted) throw new PolyheadError("FLEX_BLOCK_MASK", `the data holds ${String(states.length)} blocks; its sizes ask for ${String(wanted)}`, "the data is damaged: create the block mask anew");
  return { sizes, states };
}
