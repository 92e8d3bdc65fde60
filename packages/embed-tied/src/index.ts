export { tied, type TiedEmbeddingConfig } from "./plugin.ts";
export { embedReference, logitsReference } from "./reference.ts";
