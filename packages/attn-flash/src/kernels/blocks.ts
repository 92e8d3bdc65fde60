// Walks over the blocks that a list names, and over no others.
//   tables   from `listsAt` on: i32 [lists, queryBlocks, 1 + keyBlocks], a count and then `block << 1 | full`, ascending;
//            for dkv the same seen from keys, [lists, keyBlocks, 1 + queryBlocks]
// Lists are one for all or one a batch row, one for all or one a query head: strides blockB and blockH. Blocks are counted in
// global positions from qOrigin and kvOrigin on. A tile lies within one block of its own side: see block-lists.ts.
import { wgsl, type ParamType } from "@polyhead/gpu";
import type { FlashForm } from "../spec.ts";

export const BLOCK_PARAMS: Readonly<Record<string, ParamType>> = {
  listsAt: "u32", blockB: "u32", blockH: "u32", queryBlock: "i32", keyBlock: "i32", queryBlocks: "i32", keyBlocks: "i32", qOrigin: "i32", kvOrigin: "i32",
};

/** WGSL condition: whether the mask has yet to be asked; of blocks that are full it need not. */
export const checkedBy = ({ blocks }: Pick<FlashForm, "blocks">): string | undefined => (blocks ? "checked" : undefined);

/** Where the keys of a tile of queries are walked: `first` is a row of it, `head` its query head. With `parted`, a split takes its share of the list. */
export interface KeyWalk {
  readonly first: string;
  readonly head: string;
  readonly parted: boolean;
}

/** `body` over lo … hi; with lists, over what each of their blocks has of it, with `checked` declared. */
export function overKeys(form: Pick<FlashForm, "blocks">, { first, head, parted }: KeyWalk, body: string): string {
  if (!form.blocks) return body;
  return wgsl`
  let ownBlock = (i32(${first}) + params.qOffset - params.qOrigin) / params.queryBlock;
  let list = params.listsAt + ((b * params.blockB + ${head} * params.blockH) * u32(params.queryBlocks) + u32(ownBlock)) * u32(1i + params.keyBlocks);
  let listed = tables[list];
  for (var entry = ${parted ? "listed * part / i32(params.splits)" : "0i"}; entry < ${parted ? "listed * (part + 1i) / i32(params.splits)" : "listed"}; entry++) {
    ${visit("entry", "params.keyBlock", "params.kvOrigin - params.kvOffset")}
    ${body}
  }`;
}

/** {@link overKeys} seen from a tile of keys that starts at row0, for query head `h`. Keys past the last block are in no list. */
export function overQueries(form: Pick<FlashForm, "blocks">, body: string): string {
  if (!form.blocks) return body;
  return wgsl`
  let ownBlock = (i32(row0) + params.kvOffset - params.kvOrigin) / params.keyBlock;
  let list = params.listsAt + ((b * params.blockB + h * params.blockH) * u32(params.keyBlocks) + u32(min(ownBlock, params.keyBlocks - 1i))) * u32(1i + params.queryBlocks);
  let listed = select(0i, tables[list], ownBlock < params.keyBlocks);
  for (var entry = 0i; entry < listed; entry++) {
    ${visit("entry", "params.queryBlock", "params.qOrigin - params.qOffset")}
    ${body}
  }`;
}

/** Declares `checked`, and lo and hi anew: the rows that the block of an entry has of them. */
const visit = (entry: string, size: string, start: string): string => wgsl`
    let block = tables[list + 1u + u32(${entry})];
    let checked = (block & 1i) == 0i;
    let blockLo = (block >> 1u) * ${size} + ${start};
    let lo = max(lo, blockLo);
    let hi = min(hi, blockLo + ${size});`;
