export { alibi, type AlibiConfig } from "./plugin.ts";
export { alibiBias, alibiSlopes, type SlopeOptions } from "./reference.ts";
