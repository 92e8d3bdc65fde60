import { flatGrid } from "@polyhead/gpu";
import { link, type Tensor } from "@polyhead/tensor";
import { keepRowsKernel } from "./kernels/keep-rows.ts";

/**
 * Rows of `x [B, H, T, D]` from `starts[b]` until `lengths[b]`; the others become 0. Padding may hold anything, NaN too,
 * and a weight of 0 times NaN would be NaN. Without both limits it is `x` itself.
 */
export function keepRows(x: Tensor, starts: Tensor | undefined, lengths: Tensor | undefined): Tensor {
  if (starts === undefined && lengths === undefined) return x;
  const limits = [starts, lengths].filter((t) => t !== undefined);
  return link(masked(x, starts, lengths), {
    inputs: [x],
    saves: limits,
    backward: (g, saved) => [masked(g, starts && saved[0], lengths && saved.at(-1))],
  });
}

function masked(x: Tensor, starts: Tensor | undefined, lengths: Tensor | undefined): Tensor {
  const { engine } = x;
  return engine.noGrad(() =>
    engine.scope(() => {
      const [, heads, rows, features] = x.shape as [number, number, number, number];
      const kept = engine.empty(x.shape);
      const kernel = keepRowsKernel({ starts: starts !== undefined, lengths: lengths !== undefined });
      engine.gpu.dispatch(
        kernel,
        { x: x.contiguous().slice(), ...(starts && { starts: starts.slice() }), ...(lengths && { lengths: lengths.slice() }), kept: kept.slice() },
        { count: x.size, heads, rows, features },
        flatGrid(x.size, 64),
      );
      return kept;
    }),
  );
}
