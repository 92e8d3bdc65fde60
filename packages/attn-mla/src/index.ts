export { latentRows, type DecodeForm } from "./decode-form.ts";
export { mla, type LatentConfig } from "./plugin.ts";
export { latentReference, type LatentReference } from "./reference.ts";
export { cacheSaving, type CacheSaving, type SavingOptions } from "./saving.ts";
