import type { BoundHook, Count, QkHook } from "@polyhead/core";
import { pairwise, type Tensor } from "@polyhead/tensor";

/** Where the rows of q or k are: row t at global position `offset + t`, or at `rows[b, t]` (u32). */
export interface Positions {
  readonly offset: Count;
  readonly rows?: Tensor | undefined;
}

/** Applies qk hooks, in order, to x `[B, H, T, D]`: queries or keys. */
export function withQkHooks(x: Tensor, side: "q" | "k", hooks: readonly BoundHook<Tensor, QkHook<Tensor>>[], { offset, rows }: Positions): Tensor {
  return hooks.reduce((y, { hook, params }) => {
    if (hook.applies !== "both" && hook.applies !== side) return y;
    const watch = y.engine.anomalies;
    const run = (): Tensor => apply(y, { hook, params }, { offset, rows });
    return watch === undefined ? run() : watch.within(`qk hook '${hook.id}' on ${side}`, run);
  }, x);
}

function apply(x: Tensor, { hook, params }: BoundHook<Tensor, QkHook<Tensor>>, { offset, rows }: Positions): Tensor {
  if (hook.form === "row") return hook.apply(x, params, { offset, ...(rows && { rows }) });
  const { program, layout, rotaryDim } = hook;
  return pairwise(x, program, { layout, rotaryDim, positions: rows ?? { offset }, captures: params });
}
