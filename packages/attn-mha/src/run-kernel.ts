import { PolyheadError, type AttentionContext, type Count, type PlannedKernel, type SortedHooks } from "@polyhead/core";
import { numberOf } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";
import { biasOfHooks } from "./bias-tensor.ts";
import { asRowCache, type HeldRows, type RowCache } from "./caches/row-cache.ts";
import { gatherPages } from "./gather-pages.ts";
import { lookback } from "./mask-bounds.ts";
import { withQueries } from "./query-hooks.ts";
import { shiftRows } from "./shift-rows.ts";

/** The cache of a call, if it has one. @throws PolyheadError `ATTN_CACHE_MEMORY`, `ATTN_CACHE_SLIDE`, `ATTN_CACHE_KIND`. */
export function usableCache({ cache, memory, mask }: Pick<AttentionContext<Tensor>, "cache" | "memory" | "mask">): RowCache | undefined {
  if (cache === undefined) return undefined;
  if (memory !== undefined) {
    throw new PolyheadError("ATTN_CACHE_MEMORY", "a layer was given a cache and a memory; a cache holds the keys of its own rows", "leave the cache out of cross-attention: it reads the whole memory at every call");
  }
  const rows = asRowCache(cache);
  if (rows.window !== undefined && lookback(mask) > rows.window) {
    throw new PolyheadError("ATTN_CACHE_SLIDE", `a mask that looks back ${lookback(mask)} rows on a cache that keeps ${rows.window} of them`, "make the cache with the mask it is used with");
  }
  return rows;
}

/** What one run of the planned kernel needs beside its rows. */
export interface KernelRun {
  readonly context: AttentionContext<Tensor>;
  readonly plan: PlannedKernel<Tensor>;
  readonly sorted: SortedHooks<Tensor>;
  readonly cache: RowCache | undefined;
  /** Global position of the first query. */
  readonly offset: Count;
  /** Of the scores, where the context gives none. */
  readonly scale: number;
  /** Queries after all qk hooks, for score hooks that read them. */
  readonly queries: () => Tensor;
}

/**
 * Runs the kernel of a plan on q `[B, Hq, Tq, D]`, after the qk hooks of the prepass, and the rows that are held; o `[B, Hq, Tq, Dv]`.
 * The rows of a cache count from then on.
 */
export function runKernel(q: Tensor, held: HeldRows, { context, plan, sorted, cache, offset, scale: ownScale, queries }: KernelRun): Tensor {
  const keyed = forKernel(held, plan.kernel.paged === true);
  const { kvOffset, pages } = keyed;
  const [B = 0, Hq = 0, Tq = 0] = q.shape;
  const Tk = pages === undefined ? keyed.k.shape[2]! : pages.table.shape[1]! * pages.size;
  // Padding is told in rows of the text, kernels count rows of k: two things once a cache has dropped rows.
  const inRowsOfK = (limits: Tensor): Tensor => (cache?.window === undefined ? limits : shiftRows(limits, kvOffset));
  const { starts, lengths, scale = ownScale } = context;
  const drawn = { q: queries, qOffset: offset, scale };
  const tensorHooks = withQueries(sorted.tensor, drawn);
  const { o } = plan.kernel.run({
    q,
    ...keyed,
    scale,
    mask: context.mask,
    qOffset: offset,
    qk: sorted.qk,
    score: withQueries(sorted.score, drawn),
    dropout: context.dropout,
    ...(tensorHooks.length > 0 && { bias: biasOfHooks(q.engine, tensorHooks, { shape: [B, Hq, Tq, Tk], qOffset: offset, kvOffset, mask: context.mask }) }),
    ...(starts && { starts: inRowsOfK(starts) }),
    ...(lengths && { lengths: inRowsOfK(lengths) }),
  });
  cache?.advance(Tq);
  return o;
}

/** What the cache holds, for a kernel that may not take pages. */
function forKernel(held: HeldRows, paged: boolean): HeldRows {
  const { k, v, pages, keys = 0, kvOffset } = held;
  if (pages === undefined || paged) return held;
  const length = numberOf(keys);
  return { k: gatherPages(k, pages, length), v: gatherPages(v, pages, length), kvOffset };
}
