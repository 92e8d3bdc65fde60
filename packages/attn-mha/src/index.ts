export { reference } from "./kernel.ts";
export { DenseCache, type DenseCacheOptions } from "./kv-cache.ts";
export { mha, type MultiHeadConfig } from "./plugin.ts";
export { multiHeadReference, type MultiHeadReference } from "./reference.ts";
export { attentionStages, unfusedAttention, type AttentionStages } from "./unfused.ts";
