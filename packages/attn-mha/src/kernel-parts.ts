// `@polyhead/attn-mha/kernel`: what a kernel needs to take masks, hooks and tables as the reference kernel does, and a layer to keep
// rows and run kernels as multi-head attention does.
export { biasOfHooks } from "./bias-tensor.ts";
export { createRowCache } from "./caches/create-cache.ts";
export type { HeldRows, RowCache } from "./caches/row-cache.ts";
export { gatherPages } from "./gather-pages.ts";
export { joinHeads } from "./heads.ts";
export { learnedTables } from "./kernels/capture-gradient.ts";
export { maskBounds, type MaskBounds } from "./mask-bounds.ts";
export { queryBounds, type QueryBounds } from "./query-bounds.ts";
export { withQkHooks } from "./qk-hooks.ts";
export { runKernel, usableCache, type KernelRun } from "./run-kernel.ts";
export { scoreProgram, type ScoreProgram } from "./score-program.ts";
export { elementsOf, offsetsOf, scalarName, tableLayout, type TableLayout } from "./table-layout.ts";
export { cutTables, learnedTensors } from "./tables.ts";
export { scoreAnomalies, sizesOf, unfusedAttention, type Sizes } from "./unfused.ts";
