export { rms, type RmsNormConfig } from "./plugin.ts";
export { rmsNormReference } from "./reference.ts";
