export { halfToNumber, numberToHalf, type StoredDtype } from "./dtypes.ts";
export {
  flashCases, hfModels, nanoGptRun, onnxCases, openSafetensors, referenceSets,
  type FlashCase, type HfModel, type NanoGptRun, type OnnxCase, type OnnxSlot,
} from "./reference-data.ts";
export { readSafetensors, writeSafetensors, type Safetensors, type StoredTensor, type TensorToStore } from "./safetensors.ts";
