export type { Family, HfConfig, Piece, Recipe, WeightMap } from "./family.ts";
export { memorySource, type FileSource } from "./source.ts";
