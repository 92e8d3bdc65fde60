export { servesQueries, type BlockLists } from "./block-lists.ts";
export { allTemplates, choose, type BackwardChoice, type FlashChoice, type FlashReason, type ForwardChoice } from "./choose.ts";
export { flashAttention, type FlashOptions } from "./flash-attention.ts";
export { flashGradients, type FlashGradients, type RowResults, type Wanted } from "./gradients.ts";
export { kernelCache, type KernelCache } from "./kernels/kernel-cache.ts";
export { shapeClass, type FlashShape } from "./shape.ts";
export { templateName, type FlashTemplate, type FusedTemplate, type Pass, type RowTemplate, type SubgroupTemplate, type TileTemplate, type UnfusedTemplate } from "./spec.ts";
export { explainFlash, tuneFlash, type FlashProblem, type TuneFlashOptions } from "./tune.ts";
export { readable } from "./call.ts";
export { cutHead } from "./operands.ts";
// What a kernel built on these passes needs beside them.
export { learnedTables, learnedTensors } from "@polyhead/attn-mha/kernel";
export { maskBounds, type MaskBounds } from "@polyhead/attn-mha/kernel";
