export {
  flashCases, hfModels, nanoGptRun, onnxCases, openSafetensors, referenceSets,
  type FlashCase, type HfModel, type NanoGptRun, type OnnxCase, type OnnxSlot,
} from "./reference-data.ts";
