import type { BoundHook, Count, EmbedHook } from "@polyhead/core";
import { add, embedding, scale, type Tensor } from "@polyhead/tensor";

/**
 * x · tokenScale + table[position], hook by hook.
 *
 * @param x          `[B, T, width]`
 * @param positions  u32 `[B, T]`, or the first row of the table that they take, live in a step that may be replayed
 */
export function withEmbedHooks(x: Tensor, hooks: readonly BoundHook<Tensor, EmbedHook>[], positions: Count | Tensor): Tensor {
  return hooks.reduce((y, { hook, params }) => addTable(y, hook, params["table"]!, positions), x);
}

/** Rows of a batch share their positions where only the first of them is told. */
function addTable(x: Tensor, hook: EmbedHook, table: Tensor, positions: Count | Tensor): Tensor {
  const token = hook.tokenScale === 1 ? x : scale(x, hook.tokenScale);
  const [batch = 0, rows = 0, width = 0] = x.shape;
  const run = (first: number): Tensor => table.narrow(0, first, rows).reshape([1, rows, width]).expand([batch, rows, width]);
  if (typeof positions === "number") return add(token, run(positions));
  if ("shape" in positions) return add(token, embedding(table, positions));
  return add(token, rows === 1 ? embedding(table, x.engine.full([batch, 1], positions, "u32")) : run(positions.value));
}
