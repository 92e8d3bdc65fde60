import type { BlockLists } from "@polyhead/attn-flash/kernel";
import { toProgram, type Mask } from "@polyhead/core";
import { flatGrid } from "@polyhead/gpu";
import { captureArguments, type Engine } from "@polyhead/tensor";
import { seenRowsKernel } from "./kernels/seen-rows.ts";
import type { BlockSizes } from "./sizes.ts";

/** Queries that see no key: their output is 0, their log-sum-exp −∞. */
export interface EmptyRows {
  readonly count: number;
  /** The first of them; `q` is its global position. */
  readonly first: { readonly b: number; readonly h: number; readonly q: number } | undefined;
}

/** Looks for queries without a key. Memory: one number a query. */
export async function findEmptyRows(engine: Engine, mask: Mask, sizes: BlockSizes, lists: BlockLists): Promise<EmptyRows> {
  const program = toProgram(mask);
  const { batch, heads, queries, keys, qOffset, kvOffset } = sizes;
  const { queryBlock, keyBlock, queryBlocks, keyBlocks, qOrigin } = lists;
  const seen = engine.keep(engine.empty([batch, heads, queries], "u32"));
  try {
    const { bindings, params } = captureArguments(engine, program.captures);
    engine.gpu.dispatch(
      seenRowsKernel(program),
      { ...bindings, keysOf: lists.keysOf.slice(), seen: seen.slice() },
      { ...params, rows: seen.size, queries, keys, heads, queryBlocks, keyBlocks, queryBlock, keyBlock, first: qOffset - qOrigin, qOffset, kvOffset },
      flatGrid(seen.size, 64),
    );
    const rows = Uint32Array.from(await seen.read());
    const count = rows.reduce((sum, one) => sum + (one === 0 ? 1 : 0), 0);
    const at = rows.indexOf(0);
    const first = at < 0 ? undefined : { b: Math.floor(at / queries / heads), h: Math.floor(at / queries) % heads, q: qOffset + (at % queries) };
    return { count, first };
  } finally {
    seen.dispose();
  }
}
