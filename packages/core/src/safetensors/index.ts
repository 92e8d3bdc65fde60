export type { ByteSource } from "./byte-source.ts";
export { halfToNumber, numberToHalf, type StoredDtype } from "./dtypes.ts";
export { duplicateKey } from "./duplicate-keys.ts";
export type { TensorEntry } from "./header.ts";
export { openSafetensors, readSafetensors, type RangedSafetensors, type Safetensors } from "./read.ts";
export { storedTensor, type StoredTensor } from "./stored-tensor.ts";
export { streamSafetensors, writeSafetensors, type TensorToDescribe, type TensorToStore } from "./write.ts";
