// `@polyhead/attn-mha/kernel`: what a kernel needs to take masks, hooks and tables as the reference kernel does.
export { biasOfHooks } from "./bias-tensor.ts";
export { learnedTables } from "./kernels/capture-gradient.ts";
export { maskBounds, type MaskBounds } from "./mask-bounds.ts";
export { queryBounds, type QueryBounds } from "./query-bounds.ts";
export { withQkHooks } from "./qk-hooks.ts";
export { scoreProgram, type ScoreProgram } from "./score-program.ts";
export { elementsOf, offsetsOf, scalarName, tableLayout, type TableLayout } from "./table-layout.ts";
export { cutTables, learnedTensors } from "./tables.ts";
export { scoreAnomalies, sizesOf, unfusedAttention, type Sizes } from "./unfused.ts";
