// `@polyhead/attn-mha/kernel`: what a kernel needs to take masks, hooks and tables as the reference kernel does.
export { biasOfHooks } from "./bias-tensor.ts";
export { learnedTables } from "./kernels/capture-gradient.ts";
export { maskBounds, type MaskBounds } from "./mask-bounds.ts";
export { queryBounds, type QueryBounds } from "./query-bounds.ts";
export { withQkHooks } from "./qk-hooks.ts";
export { scoreProgram, type ScoreProgram } from "./score-program.ts";
export { gradientsOfTables, scalarsOf, type Scalars } from "./score-softmax.ts";
export { elementsOf, offsetsOf, scalarName, tableLayout, type TableLayout } from "./table-layout.ts";
export { gatherTables, learnedTensors, tableSlices, type Tables } from "./tables.ts";
export { scoreAnomalies, sizesOf, unfusedAttention, type Sizes } from "./unfused.ts";
