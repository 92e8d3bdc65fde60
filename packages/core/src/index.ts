export type { ArchitecturePlugin, Workshop } from "./contracts/architecture.ts";
export type {
  AttentionContext,
  AttentionLayer,
  AttentionPlugin,
  AttentionShape,
  KvCache,
  PlannedKernel,
} from "./contracts/attention.ts";
export type { ModelDims } from "./contracts/dims.ts";
export type { EmbeddingLayer, EmbeddingPlugin } from "./contracts/embedding.ts";
export type {
  BoundHook,
  EmbedHook,
  Hook,
  QkHook,
  QkPairHook,
  QkRowHook,
  ScoreHook,
  ScoreIndex,
  Site,
} from "./contracts/hooks.ts";
export type { KernelInputs, KernelOutputs, KernelPlugin } from "./contracts/kernel.ts";
export type {
  AndMask,
  CausalMask,
  CustomMask,
  DocumentMask,
  FullMask,
  Mask,
  NotMask,
  OrMask,
  PrefixMask,
  WindowMask,
} from "./contracts/mask.ts";
export type { NormLayer, NormPlugin } from "./contracts/norm.ts";
export type {
  BooleanOption,
  ChoiceOption,
  NoConfig,
  NumberOption,
  OptionSpec,
  OptionSpecs,
  StringOption,
} from "./contracts/options.ts";
export type { Params, Params64, ParamInit, ParamSpec, ParamSpecs } from "./contracts/params.ts";
export type { Plan, Refusal } from "./contracts/plan.ts";
export type { PluginBase } from "./contracts/plugin-base.ts";
export type { OfKind, Plugin, PluginKind } from "./contracts/plugin.ts";
export type { PositionLayer, PositionPlugin } from "./contracts/position.ts";
export type { Caps, LoweredProblem, Lowering, Problem } from "./contracts/problem.ts";
export type { ModelParts, ResolvedPart, ResolvedSpec } from "./contracts/spec.ts";
export type { EngineOf, TensorLike } from "./contracts/tensor-like.ts";
export {
  defineArchitecture,
  defineAttention,
  defineEmbedding,
  defineKernelPlugin,
  defineNorm,
  definePosition,
} from "./define.ts";
