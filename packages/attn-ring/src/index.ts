export type { WholeLengths } from "./call.ts";
export { LAYOUTS, lengthOf, piecesOf, positionsOf, type Piece, type RingLayout } from "./layout.ts";
export * from "./planning/index.ts";
export { ring, type RingOptions, type RingScheme } from "./plugin.ts";
export { ringReference, ringReferenceGradients, type RingReference, type RingReferenceGradients, type RingReferenceOutputs } from "./reference.ts";
