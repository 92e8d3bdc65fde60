import { allows, type Mask } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import type { BlockLists } from "../src/kernel.ts";

export interface BruteOptions {
  readonly engine: Engine;
  readonly mask: Mask;
  /** Sizes of a block of queries and one of keys. */
  readonly block: readonly [number, number];
  /** Positions that lists cover, from the origins on. */
  readonly queries: number;
  readonly keys: number;
  readonly origins?: readonly [number, number];
  readonly batch?: number;
  readonly heads?: number;
}

/** What stands where nothing is to be read: blocks far outside, called full. */
const POISON = 0x7ffffff1;

/** Block lists by asking the mask about every cell. A block counts as full if all of it is allowed, cells beyond the last row too. */
export function bruteLists({ engine, mask, block: [queryBlock, keyBlock], queries, keys, origins: [qOrigin, kvOrigin] = [0, 0], batch = 1, heads = 1 }: BruteOptions): BlockLists {
  const [queryBlocks, keyBlocks] = [Math.ceil(queries / queryBlock), Math.ceil(keys / keyBlock)];
  const entry = (b: number, h: number, m: number, n: number): { any: boolean; all: boolean } => {
    let [any, all] = [false, true];
    for (let q = qOrigin + m * queryBlock; q < qOrigin + (m + 1) * queryBlock; q++) {
      for (let kv = kvOrigin + n * keyBlock; kv < kvOrigin + (n + 1) * keyBlock; kv++) {
        const inside = q < qOrigin + queries && kv < kvOrigin + keys;
        const allowed = inside && allows(mask, { b, h, q, kv });
        any ||= allowed;
        all &&= allowed;
      }
    }
    return { any, all };
  };
  const keysOf = new Int32Array(batch * heads * queryBlocks * (1 + keyBlocks)).fill(POISON);
  const queriesOf = new Int32Array(batch * heads * keyBlocks * (1 + queryBlocks)).fill(POISON);
  for (let list = 0; list < batch * heads; list++) {
    const found = Array.from({ length: queryBlocks }, (_, m) => Array.from({ length: keyBlocks }, (_, n) => entry(Math.floor(list / heads), list % heads, m, n)));
    for (let m = 0; m < queryBlocks; m++) write(keysOf, (list * queryBlocks + m) * (1 + keyBlocks), found[m]!);
    for (let n = 0; n < keyBlocks; n++) write(queriesOf, (list * keyBlocks + n) * (1 + queryBlocks), found.map((row) => row[n]!));
  }
  const i32 = { dtype: "i32" } as const;
  return {
    queryBlock, keyBlock, qOrigin, kvOrigin, batch, heads, queryBlocks, keyBlocks,
    keysOf: engine.tensor(keysOf, [batch, heads, queryBlocks, 1 + keyBlocks], i32),
    queriesOf: engine.tensor(queriesOf, [batch, heads, keyBlocks, 1 + queryBlocks], i32),
  };
}

function write(lists: Int32Array, start: number, blocks: readonly { readonly any: boolean; readonly all: boolean }[]): void {
  const entries = blocks.flatMap(({ any, all }, n) => (any ? [(n << 1) | (all ? 1 : 0)] : []));
  lists.set([entries.length, ...entries], start);
}
