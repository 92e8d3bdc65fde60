export type { DecoderConfig, NormPlace } from "./config.ts";
export { DecodeStep, type DecodeReplay, type DecodeStepOptions, type Live } from "./decode-step.ts";
export { DecoderModel, type ForwardOptions, type PrefillOptions } from "./decoder.ts";
export { feedForward, type Activation, type FeedForward, type FeedForwardConfig } from "./feed-forward.ts";
export { generate } from "./generate.ts";
export { generateBatch, type BatchToken } from "./generate-batch.ts";
export type { ChoiceOptions, GenerateBatchOptions, GenerateOptions, StopReason } from "./generate-options.ts";
export type { Parameter, Parameters } from "./parameters.ts";
export { decoder } from "./plugin.ts";
