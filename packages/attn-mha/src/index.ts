export { reference } from "./kernel.ts";
export { DenseCache, type PlainCacheOptions } from "./caches/dense-cache.ts";
export { PagePool, type PagePoolOptions } from "./caches/page-pool.ts";
export { PagedCache, type PagedCacheOptions } from "./caches/paged-cache.ts";
export type { HeldRows, RowCache, RowCacheOptions } from "./caches/row-cache.ts";
export { StaticCache } from "./caches/static-cache.ts";
export { mha, type MultiHeadConfig } from "./plugin.ts";
export { multiHeadReference, type MultiHeadReference } from "./reference.ts";
export { attentionStages, unfusedAttention, type AttentionStages } from "./unfused.ts";
