/* eslint-disable @typescript-eslint/no-explicit-any -- a registry holds plugins of every config and tensor type */
import type { ArchitecturePlugin } from "./architecture.ts";
import type { AttentionPlugin } from "./attention.ts";
import type { EmbeddingPlugin } from "./embedding.ts";
import type { KernelPlugin } from "./kernel.ts";
import type { NormPlugin } from "./norm.ts";
import type { PositionPlugin } from "./position.ts";

export type Plugin =
  | AttentionPlugin<any, any, any, any>
  | KernelPlugin<any, any>
  | PositionPlugin<any, any, any>
  | NormPlugin<any, any, any>
  | EmbeddingPlugin<any, any, any>
  | ArchitecturePlugin<any, any, any, any>;

export type PluginKind = Plugin["kind"];

/** The plugins of one kind in a list. */
export type OfKind<P extends readonly Plugin[], K extends PluginKind> = Extract<P[number], { kind: K }>;
