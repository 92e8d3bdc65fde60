import { causal, defineArchitecture, full, type ArchitecturePlugin } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { ENCODER_DECODER_OPTIONS, STACK_OPTIONS, type DecoderConfig, type EncoderConfig, type EncoderDecoderConfig, type ResolvedEncoderDecoderConfig, type ResolvedStackConfig } from "./config.ts";
import { DecoderModel } from "./decoder.ts";
import { EncoderModel } from "./encoder.ts";
import { EncoderDecoderModel } from "./encoder-decoder.ts";

/** The decoder-only transformer: embedding, sublayers in the order of the spec, logits. */
export const decoder: ArchitecturePlugin<"decoder", DecoderConfig, Engine, DecoderModel> = defineArchitecture({
  name: "decoder",
  options: STACK_OPTIONS,
  defaultMask: causal(),
  build: (spec, config: DecoderConfig, workshop, engine: Engine, options) => new DecoderModel(spec, config as ResolvedStackConfig, workshop, engine, options),
});

/** The encoder: the same without a direction, for masked language modelling and what is built on its hidden states. */
export const encoder: ArchitecturePlugin<"encoder", EncoderConfig, Engine, EncoderModel> = defineArchitecture({
  name: "encoder",
  options: STACK_OPTIONS,
  defaultMask: full(),
  build: (spec, config: EncoderConfig, workshop, engine: Engine, options) => new EncoderModel(spec, config as ResolvedStackConfig, workshop, engine, options),
});

/** An encoder, and a decoder that attends to it. The mask of the spec is the decoder's. */
export const encoderDecoder: ArchitecturePlugin<"encoder-decoder", EncoderDecoderConfig, Engine, EncoderDecoderModel> = defineArchitecture({
  name: "encoder-decoder",
  options: ENCODER_DECODER_OPTIONS,
  defaultMask: causal(),
  build: (spec, config: EncoderDecoderConfig, workshop, engine: Engine, options) => new EncoderDecoderModel(spec, config as ResolvedEncoderDecoderConfig, workshop, engine, options),
});
