export { tied, type TiedEmbeddingConfig } from "./plugin.ts";
export { embedReference, logitsReference, type TiedTables } from "./reference.ts";
