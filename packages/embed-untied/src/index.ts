export { untied, type UntiedEmbeddingConfig } from "./plugin.ts";
export { embedReference, logitsReference, type UntiedTables } from "./reference.ts";
