import { causal, defineArchitecture, type ArchitecturePlugin } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { DECODER_OPTIONS, type DecoderConfig, type ResolvedDecoderConfig } from "./config.ts";
import { DecoderModel } from "./decoder.ts";

/** The decoder-only transformer: embedding, blocks of attention and feed-forward, logits. */
export const decoder: ArchitecturePlugin<"decoder", DecoderConfig, Engine, DecoderModel> = defineArchitecture({
  name: "decoder",
  options: DECODER_OPTIONS,
  defaultMask: causal(),
  build: (spec, config: DecoderConfig, workshop, engine: Engine) => new DecoderModel(spec, config as ResolvedDecoderConfig, workshop, engine),
});
