import type { Count } from "./count.ts";
import type { BoundHook, QkHook, QkPairHook, ScoreHook } from "./hooks.ts";
import type { Mask } from "./mask.ts";
import type { PluginBase } from "./plugin-base.ts";
import type { Caps, LoweredProblem, Lowering, Problem } from "./problem.ts";
import type { TensorLike } from "./tensor-like.ts";

/**
 * Keys and values scattered over pages, so that many sequences share one pool: k is `[pages, Hkv, size, D]` and v
 * `[pages, Hkv, size, Dv]`; row j of sequence b is row `j % size` of page `table[b, j / size]`.
 */
export interface KeyPages<T extends TensorLike> {
  /** i32 `[B, pages of a sequence]`; entries past the rows in use are not read. */
  readonly table: T;
  /** Rows of a page: a power of two, at least 16. */
  readonly size: number;
}

/**
 * What a kernel is run on. `B` batch rows, `Hq` query heads, `Hkv` key heads (a divisor), `D`/`Dv` head sizes.
 * Masks and score hooks see global positions: row i of q is `qOffset + i`, row j of k is `kvOffset + j`.
 */
export interface KernelInputs<T extends TensorLike> {
  /** `[B, Hq, Tq, D]`. */
  readonly q: T;
  /** `[B, Hkv, Tk, D]`. */
  readonly k: T;
  /** `[B, Hkv, Tk, Dv]`. */
  readonly v: T;
  readonly scale: number;
  readonly mask: Mask;
  readonly qOffset: Count;
  readonly kvOffset: Count;
  /** Rows of k and v in use; those from here on are not looked at. Default all. */
  readonly keys?: Count;
  /** Where k and v are pools of pages rather than rows: see {@link KeyPages}. */
  readonly pages?: KeyPages<T>;
  /** Qk hooks lowered `inline`; those lowered `prepass` are already in q and k. */
  readonly qk: readonly BoundHook<T, QkPairHook>[];
  /** Score hooks lowered `inline`, in order. */
  readonly score: readonly BoundHook<T, ScoreHook>[];
  /** Additive, after the scale and before the inlined score hooks: `[B|1, Hq|1, Tq, Tk]`. */
  readonly bias?: T;
  /** First allowed key of each batch row, as a row of k: i32 `[B]` (left padding). */
  readonly starts?: T;
  /** One past the last allowed key of each batch row, as a row of k: i32 `[B]` (right padding). */
  readonly lengths?: T;
  /** Drop probability of the attention weights, 0 outside training. */
  readonly dropout: number;
}

export interface KernelOutputs<T extends TensorLike> {
  /** `[B, Hq, Tq, Dv]`; rows with no allowed key are 0. */
  readonly o: T;
  /** Natural log-sum-exp of the masked scores, f32 `[B, Hq, Tq]`; −∞ for a row with no allowed key. */
  readonly lse: T;
}

/** Computes `q, k, v → o, lse`, differentiable through the tape of `T`. */
export interface KernelPlugin<N extends string = string, T extends TensorLike = TensorLike>
  extends PluginBase<"kernel", N> {
  /** The order in which kernels are tried where nothing has been measured; lower is earlier. */
  readonly preference: number;
  /** Takes `pages`. The rows of a paged cache are gathered for kernels that do not. */
  readonly paged?: boolean;
  /** Ranks whose rows it attends over, this one included. Left out: the rows it is given are all there are. */
  readonly ranks?: number;
  /** How this kernel would like a hook; the planner changes the wish where the order law demands it. */
  lower(hook: QkHook | ScoreHook, problem: Problem): Lowering;
  /** Reasons why this kernel cannot, as sentences a user can act on; an empty list means it can. */
  unsupported(problem: LoweredProblem, caps: Caps): string[];
  /** Milliseconds measured on this adapter for this problem, or undefined where nothing was measured. */
  cost?(problem: LoweredProblem, caps: Caps): number | undefined;
  /** What `plan().explain()` should say of how this kernel computes the problem here: templates, measurements. One line a fact. */
  notes?(problem: LoweredProblem, caps: Caps): string[];
  run(inputs: KernelInputs<T>): KernelOutputs<T>;
}
