// Five ways to let a score depend on the distance, each a plugin with a name and a config of its own.
export { fire, type FireConfig } from "./fire.ts";
export { kerple, type KerpleConfig } from "./kerple.ts";
export { relativeBias, type RelativeBiasConfig } from "./relative-bias.ts";
export { shaw, type ShawConfig } from "./shaw.ts";
export { t5, type T5Config } from "./t5.ts";
