export { fire, kerple, relativeBias, shaw, t5, type FireConfig, type KerpleConfig, type RelativeBiasConfig, type ShawConfig, type T5Config } from "./plugin.ts";
export { clippedDistance, fireBias, kerpleBias, relativeBucket, shawScore, type BucketOptions, type FireParams, type KerpleForm } from "./reference.ts";
