import { causal, defineArchitecture, type ArchitecturePlugin } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { STACK_OPTIONS, type DecoderConfig, type ResolvedStackConfig } from "./config.ts";
import { DecoderModel } from "./decoder.ts";

/** The decoder-only transformer: embedding, sublayers in the order of the spec, logits. */
export const decoder: ArchitecturePlugin<"decoder", DecoderConfig, Engine, DecoderModel> = defineArchitecture({
  name: "decoder",
  options: STACK_OPTIONS,
  defaultMask: causal(),
  build: (spec, config: DecoderConfig, workshop, engine: Engine, options) => new DecoderModel(spec, config as ResolvedStackConfig, workshop, engine, options),
});
