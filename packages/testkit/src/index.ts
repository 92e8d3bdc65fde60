export {
  assertClose, compare, EXACT, FORWARD, GRADIENT, ONNX, ONNX_F16, report, unravel,
  type CloseOptions, type Comparison, type Rule,
} from "./compare.ts";
export { centralDifference, checkGradients, type Differentiable, type GradientCase, type GradientInput, type GradientOptions } from "./gradient-check.ts";
export { expectUnpoisoned, onFreshGpu, type OpenGpu, type Results } from "./poison.ts";
export { uniform } from "./random.ts";
export {
  flashCases, hfModels, nanoGptRun, onnxCases, openSafetensors, referenceSets,
  type FlashCase, type HfModel, type NanoGptRun, type OnnxCase, type OnnxSlot,
} from "./reference-data.ts";
export { onEngine, type DifferentiableTensor, type TensorMaker } from "./tensors.ts";
export { embeddingLaws, type EmbeddingUnderTest } from "./embedding-laws.ts";
export type { Law } from "./laws.ts";
export { scoreHookLaws, type ScoreHooksUnderTest } from "./score-hook-laws.ts";
export { normLaws } from "./norm-laws.ts";
export { communicatorLaws, type CommunicatorLaw } from "./communicator-laws.ts";
export { coveringRows, type Axes, type CoveringOptions, type Row } from "./covering.ts";
export { kernelLaws, type KernelEngine, type KernelOps, type KernelTensor, type KernelUnderTest } from "./kernel-laws.ts";
