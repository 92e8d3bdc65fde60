export { learned, sinusoidal, type LearnedConfig, type SinusoidalConfig } from "./plugin.ts";
export { sinusoids } from "./reference.ts";
