import type { Count } from "@polyhead/core";
import { flatGrid } from "@polyhead/gpu";
import { link, type Tensor } from "@polyhead/tensor";
import { keepRowsKernel } from "./kernels/keep-rows.ts";

/** Which rows of each sequence are real. */
export interface RowLimits {
  /** i32 `[B]`. */
  readonly starts: Tensor | undefined;
  /** i32 `[B]`. */
  readonly lengths: Tensor | undefined;
  /** Of all sequences alike. */
  readonly inUse: Count | undefined;
}

/**
 * Rows of `x [B, H, T, D]` from `starts[b]` until `lengths[b]` and `inUse`; the others become 0. Padding may hold anything, NaN
 * too, and a weight of 0 times NaN would be NaN. Without limits it is `x` itself.
 */
export function keepRows(x: Tensor, { starts, lengths, inUse }: RowLimits): Tensor {
  if (starts === undefined && lengths === undefined && inUse === undefined) return x;
  const limits = [starts, lengths].filter((t) => t !== undefined);
  return link(masked(x, { starts, lengths, inUse }), {
    name: "keepRows",
    inputs: [x],
    saves: limits,
    backward: (g, saved) => [masked(g, { starts: starts && saved[0], lengths: lengths && saved.at(-1), inUse })],
  });
}

function masked(x: Tensor, { starts, lengths, inUse }: RowLimits): Tensor {
  const { engine } = x;
  return engine.noGrad(() =>
    engine.scope(() => {
      const [, heads, rows, features] = x.shape as [number, number, number, number];
      const kept = engine.empty(x.shape);
      const kernel = keepRowsKernel({ starts: starts !== undefined, lengths: lengths !== undefined });
      engine.gpu.dispatch(
        kernel,
        { x: x.contiguous().slice(), ...(starts && { starts: starts.slice() }), ...(lengths && { lengths: lengths.slice() }), kept: kept.slice() },
        { count: x.size, heads, rows, features, inUse: inUse ?? rows },
        flatGrid(x.size, 64),
      );
      return kept;
    }),
  );
}
