export { layer, type LayerNormConfig } from "./plugin.ts";
export { layerNormReference } from "./reference.ts";
