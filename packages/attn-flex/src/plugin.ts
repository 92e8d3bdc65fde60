import { defineKernelPlugin, type KernelPlugin, type LoweredProblem } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { isRange } from "./as-mask.ts";
import { attend } from "./attend.ts";
import { AUTOMATIC, whyNoBlocks } from "./blocks-of.ts";
import { isKnown } from "./classify-intervals.ts";

/** Fused attention over the blocks of a mask that are not empty: first in line for masks that have such blocks. */
export const flex: KernelPlugin<"flex", Tensor> = defineKernelPlugin({
  name: "flex",
  preference: 90,
  // Qk hooks are applied once to each row beforehand: inlined, a key is turned again for every block of queries.
  lower: (hook) => (hook.site === "score" ? "inline" : "prepass"),
  unsupported: ({ dropout, mask }) => [
    ...(dropout ? ["attention dropout is on, which the unfused kernel alone applies"] : []),
    ...(isRange(mask) ? ["the mask is a range of keys, which 'flash' walks without lists of blocks"] : []),
  ],
  notes: (problem) => [note(problem)],
  run: (inputs) => attend(inputs),
});

function note({ mask, sizes, cache }: LoweredProblem): string {
  const why = sizes === undefined ? undefined : whyNoBlocks(mask, sizes);
  if (why !== undefined) return `no lists of blocks: ${why}`;
  const who = isKnown(mask) ? "by intervals, or on the GPU where they leave a block open" : "on the GPU";
  return `blocks of ${String(AUTOMATIC.queryBlock)} × ${String(AUTOMATIC.keyBlock)}, told apart ${who}, and kept by mask, sizes and what captures hold${cache === "none" ? "" : "; steps of few queries ask the mask for each cell"}`;
}
