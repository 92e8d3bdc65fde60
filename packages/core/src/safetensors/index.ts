export { readSafetensors, writeSafetensors, type Safetensors, type StoredTensor, type TensorToStore } from "./codec.ts";
export { halfToNumber, numberToHalf, type StoredDtype } from "./dtypes.ts";
