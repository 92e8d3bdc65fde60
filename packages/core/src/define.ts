import type { ArchitecturePlugin } from "./contracts/architecture.ts";
import type { AttentionPlugin } from "./contracts/attention.ts";
import type { EmbeddingPlugin } from "./contracts/embedding.ts";
import type { Site } from "./contracts/hooks.ts";
import type { KernelPlugin } from "./contracts/kernel.ts";
import type { NormPlugin } from "./contracts/norm.ts";
import type { NoConfig } from "./contracts/options.ts";
import type { PluginBase } from "./contracts/plugin-base.ts";
import type { PositionPlugin } from "./contracts/position.ts";
import type { TensorLike } from "./contracts/tensor-like.ts";

/** A plugin as its author writes it: the kind and the contract's version are filled in. */
type Draft<P extends PluginBase<string, string>> = Omit<P, "kind" | "spec">;

/** An attention layer plugin; its name, sites and config type are inferred. */
export function defineAttention<const N extends string, const S extends Site, C = NoConfig, T extends TensorLike = TensorLike>(
  draft: Draft<AttentionPlugin<N, S, C, T>>,
): AttentionPlugin<N, S, C, T> {
  return Object.freeze({ kind: "attention", spec: 1, ...draft });
}

/** A kernel plugin. */
export function defineKernelPlugin<const N extends string, T extends TensorLike = TensorLike>(
  draft: Draft<KernelPlugin<N, T>>,
): KernelPlugin<N, T> {
  return Object.freeze({ kind: "kernel", spec: 1, ...draft });
}

/** A position plugin; its name, sites and config type are inferred. */
export function definePosition<const N extends string, const S extends Site, C = NoConfig>(
  draft: Draft<PositionPlugin<N, S, C>>,
): PositionPlugin<N, S, C> {
  return Object.freeze({ kind: "position", spec: 1, ...draft });
}

/** A norm plugin. */
export function defineNorm<const N extends string, C = NoConfig, T extends TensorLike = TensorLike>(
  draft: Draft<NormPlugin<N, C, T>>,
): NormPlugin<N, C, T> {
  return Object.freeze({ kind: "norm", spec: 1, ...draft });
}

/** An embedding plugin. */
export function defineEmbedding<const N extends string, C = NoConfig, T extends TensorLike = TensorLike>(
  draft: Draft<EmbeddingPlugin<N, C, T>>,
): EmbeddingPlugin<N, C, T> {
  return Object.freeze({ kind: "embedding", spec: 1, ...draft });
}

/** An architecture plugin. */
export function defineArchitecture<const N extends string, C = object, E = unknown, M = unknown>(
  draft: Draft<ArchitecturePlugin<N, C, E, M>>,
): ArchitecturePlugin<N, C, E, M> {
  return Object.freeze({ kind: "architecture", spec: 1, ...draft });
}
