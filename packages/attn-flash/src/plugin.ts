import { defineKernelPlugin, type KernelPlugin } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { flashAttention } from "./flash-attention.ts";

/** Fused attention, first in line where it can. */
export const flash: KernelPlugin<"flash", Tensor> = defineKernelPlugin({
  name: "flash",
  preference: 100,
  // Qk hooks are applied once to each row beforehand: inlined, a key is turned again for every tile of queries.
  lower: (hook) => (hook.site === "score" ? "inline" : "prepass"),
  unsupported: ({ dropout }) => (dropout ? ["attention dropout is on: weights are dropped by the unfused kernel only"] : []),
  run: (inputs) => flashAttention(inputs),
});
