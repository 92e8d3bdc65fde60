import { defineKernelPlugin, type KernelPlugin } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { unfusedAttention } from "./unfused.ts";

/**
 * The kernel without fusion: scores, weights and output are tensors of their own, so memory grows with Tq · Tk. It takes
 * every hook inline and accepts everything; it comes last where a fused kernel is as able.
 */
export const reference: KernelPlugin<"reference", Tensor> = defineKernelPlugin({
  name: "reference",
  preference: 1000,
  // Qk hooks are applied once to each row beforehand: inlining them would only repeat the work.
  lower: (hook) => (hook.site === "score" ? "inline" : "prepass"),
  unsupported: () => [],
  run: unfusedAttention,
});
