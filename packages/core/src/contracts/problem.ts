import type { QkHook, ScoreHook } from "./hooks.ts";
import type { Mask } from "./mask.ts";

/** How a hook reaches the scores: inside the kernel, applied to q and k beforehand, or as an additive bias tensor. */
export type Lowering = "inline" | "prepass" | "tensor";

/** What the planner needs of a device; `gpu.caps` satisfies it. */
export interface Caps {
  readonly f16: boolean;
  readonly subgroups: boolean;
  /** Storage buffers a shader stage may bind. */
  readonly storageBuffers: number;
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number;
  readonly maxBindingBytes: number;
}

/** One attention computation, as far as the choice of a kernel depends on it. */
export interface Problem {
  readonly heads: number;
  /** Divides `heads`. */
  readonly kvHeads: number;
  readonly headDimQK: number;
  readonly headDimV: number;
  /** Storage of keys and values; queries may be f32 beside an f16 cache. */
  readonly dtype: "f32" | "f16";
  readonly mask: Mask;
  /** In the order in which they act. */
  readonly qk: readonly QkHook[];
  readonly score: readonly ScoreHook[];
  /** Gradients are wanted. */
  readonly backward: boolean;
  /** How the keys of earlier calls are kept: not at all, as rows, or as pages of a pool. A kernel that takes no pages is asked about rows. */
  readonly cache: "none" | "dense" | "paged";
  /** Attention dropout is on. */
  readonly dropout: boolean;
  /** Rows carry `starts` or `lengths`. */
  readonly padded: boolean;
  /** Typical sizes, for kernels that measure: queries, keys and batch rows. */
  readonly sizes?: { readonly batch: number; readonly queries: number; readonly keys: number };
}

/** A problem whose hooks have been assigned a lowering, by hook id. */
export interface LoweredProblem extends Problem {
  readonly how: Readonly<Record<string, Lowering>>;
}
