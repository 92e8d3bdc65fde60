import { PolyheadError, type CacheOptions } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { lookback } from "../mask-bounds.ts";
import { DenseCache, type PlainCacheOptions } from "./dense-cache.ts";
import { PagedCache } from "./paged-cache.ts";
import type { RowCache } from "./row-cache.ts";
import { StaticCache } from "./static-cache.ts";

/**
 * An empty cache of the kind that is asked for.
 *
 * @throws PolyheadError `ATTN_CACHE_KIND`, `ATTN_CACHE_BATCH`, `ATTN_CACHE_CAPACITY`, `ATTN_CACHE_PAGE`; `ATTN_CACHE_SLIDE` unless
 * queries look back on fewer rows than the capacity.
 */
export function createRowCache(engine: Engine, sizes: Pick<PlainCacheOptions, "kvHeads" | "headDim" | "sharedValues">, options: CacheOptions): RowCache {
  const { kind = "dense", batch, capacity, dtype = "f32", pageSize, overflow = "error", mask } = options;
  if (overflow === "slide" && mask === undefined) throw new PolyheadError("ATTN_CACHE_SLIDE", "a sliding cache without a mask", "pass the mask it is used with, so that it is known how far back queries look");
  const window = overflow === "slide" && mask !== undefined ? lookback(mask) : undefined;
  const rows = { batch, capacity, window };
  switch (kind) {
    case "dense":
      return new DenseCache(engine, { ...sizes, ...rows, dtype });
    case "static":
      return new StaticCache(engine, { ...sizes, ...rows, dtype });
    case "paged":
      return new PagedCache(engine, { ...rows, pool: { ...sizes, dtype, ...(pageSize !== undefined && { pageSize }) } });
    default:
      throw new PolyheadError("ATTN_CACHE_KIND", `a cache of kind '${String(kind)}'`, "give 'dense', 'static' or 'paged'");
  }
}
