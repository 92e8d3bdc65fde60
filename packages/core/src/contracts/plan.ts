import type { KernelPlugin } from "./kernel.ts";
import type { Lowering, Problem } from "./problem.ts";

/** A kernel that was turned down, and every reason. */
export interface Refusal {
  readonly kernel: string;
  readonly why: readonly string[];
}

/** Which kernel computes a problem, how each hook is lowered, and why the others do not. */
export interface Plan {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- kernels of any tensor type are planned alike
  readonly kernel: KernelPlugin<string, any>;
  /** By hook id. */
  readonly how: Readonly<Record<string, Lowering>>;
  readonly refused: readonly Refusal[];
  /** Kernels that could also do it, with the measured milliseconds where there are any. */
  readonly others: readonly { readonly kernel: string; readonly ms: number | undefined }[];
  /** Measured milliseconds of the chosen kernel, or undefined if the order was by preference. */
  readonly ms: number | undefined;
  readonly problem: Problem;
  /** The same in plain words, one line a fact. */
  explain(): string;
}
