export type { ArchitecturePlugin, BuildOptions, Workshop } from "./contracts/architecture.ts";
export type {
  AttentionContext,
  AttentionLayer,
  AttentionPlugin,
  AttentionShape,
  PlannedKernel,
  Remembered,
} from "./contracts/attention.ts";
export type {
  Communicator,
  CommunicatorOptions,
  Exchange,
  MessageData,
  ReducibleData,
  Reduction,
  Traffic,
  Transfer,
} from "./contracts/communicator.ts";
export type { ModelDims } from "./contracts/dims.ts";
export type { EmbeddingLayer, EmbeddingPlugin } from "./contracts/embedding.ts";
export type {
  BoundHook,
  EmbedHook,
  Hook,
  QkHook,
  QkPairHook,
  QkRowHook,
  QueryRows,
  ScoreHook,
  ScoreIndex,
  Site,
} from "./contracts/hooks.ts";
export type { CacheKind, CacheOptions, KvCache } from "./contracts/kv-cache.ts";
export type { Count } from "./contracts/count.ts";
export type { KernelInputs, KernelOutputs, KernelPlugin, KeyPages } from "./contracts/kernel.ts";
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
  GroupOption,
  NoConfig,
  NumberOption,
  NumbersOption,
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
export type { ModelParts, ResolvedCore, ResolvedPart, ResolvedSpec } from "./contracts/spec.ts";
export type { EngineOf, TensorLike } from "./contracts/tensor-like.ts";
export {
  defineArchitecture,
  defineAttention,
  defineEmbedding,
  defineKernelPlugin,
  defineNorm,
  definePosition,
} from "./define.ts";
export { bindHooks, hookParams, sortHooks, type SortedHooks } from "./binding.ts";
// What implementations of communicators share.
export { communicatorOver, MAX_TAG } from "./communicator/communicator-over.ts";
export {
  abortedError,
  argumentError,
  closedError,
  type CommunicatorCode,
  describeWaiting,
  lengthError,
  lostError,
  timeoutError,
  type Waiting,
} from "./communicator/errors.ts";
export type { Link } from "./communicator/link.ts";
export { createMeeting, type Meeting } from "./communicator/meeting.ts";
export { createOperations, type Operations, type OperationsOptions } from "./communicator/operations.ts";
export { createPairing, type Pairing } from "./communicator/pairing.ts";
export { allEnded, bytesOf, keptTransfer } from "./communicator/transfer.ts";
export { ranksOfColor, splitChoice } from "./communicator/split-ranks.ts";
export { checkTimeLimit, createWatchdog, DEFAULT_TIMEOUT_MS, type Watchdog, type WatchdogOptions } from "./communicator/watchdog.ts";
export { checkOption, resolveConfig } from "./config.ts";
export { isPolyheadError, PolyheadError } from "./errors.ts";
export { type CaptureInits, embedHook, pairElements, pairHook, type PairHookDraft, rowHook, scoreHook, type ScoreHookDraft } from "./hooks.ts";
export { type HookOfQueries, hookOfQueries, productRows, queryHook, type QueryHookDraft, type QuerySizes } from "./query-hook.ts";
export { createLab } from "./lab.ts";
export type { Lab, ModelOf, ModelSpec, Named, NameOf } from "./lab-types.ts";
export { toProgram } from "./mask-program.ts";
export { allows, and, causal, checkMask, custom, describe, document, full, isCausal, materialize, type MaskSizes, not, or, prefix, window } from "./masks.ts";
export { nearest, suggest } from "./nearest.ts";
export { none } from "./none.ts";
export { problemOf } from "./parts.ts";
export { plan } from "./planner.ts";
export { array64, type Array64, zeros64 } from "./reference/array.ts";
export { referenceAttention, type ReferenceOutputs, type ScoreStages } from "./reference/attention.ts";
export { lookUp, scoreTokens } from "./reference/embedding.ts";
export { referenceGradients, type ReferenceGradients } from "./reference/gradients.ts";
export type { ReferenceInputs } from "./reference/inputs.ts";
export { capture, type Capture, evaluate, formula, maskMod, type NumberExpr, pairMod, type Program, scalar, type ScalarCapture, scoreMod } from "@polyhead/expr";
// What a kernel needs to weave programs into its shader.
export { affineConjuncts, type AffineConjuncts, captureDerivatives, derivative, type Emitted, emitWgsl, join, type KeyBound, linearIndex, type LoadSite, substitute } from "@polyhead/expr";
// What a kernel needs to classify the blocks of a mask, and to take programs from users.
export { checkIndices, ExprError, intervalEvaluator, isPlaceholder, isProgram, placeholder, type Ranges, topological, truthOf, variablesOf } from "@polyhead/expr";
