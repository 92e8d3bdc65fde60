export { untied, type UntiedEmbeddingConfig } from "./plugin.ts";
export { embedReference, logitsReference } from "./reference.ts";
