import { createBlockMask } from "@polyhead/attn-flex";
import { flashAttention } from "@polyhead/attn-flash/kernel";
import { defineKernelPlugin, type KernelPlugin } from "@polyhead/core";
import { numberOf } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";

const BLOCK = 16;

/**
 * What `flex` does for long texts, with the smallest blocks there are and for every mask: of itself it makes no lists of blocks
 * for the few rows of this matrix, which then hold empty, partial and full ones.
 */
export const flexInBlocks: KernelPlugin<"flex in blocks of 16", Tensor> = defineKernelPlugin({
  name: "flex in blocks of 16",
  preference: 2000,
  lower: (hook) => (hook.site === "score" ? "inline" : "prepass"),
  unsupported: ({ dropout }) => (dropout ? ["attention dropout is on, which the unfused kernel alone applies"] : []),
  run: (inputs) => {
    const { q, k, mask, qOffset, kvOffset } = inputs;
    const [batch = 0, heads = 0, queries = 0] = q.shape;
    const block = createBlockMask(q.engine, mask, { batch, heads, queries, keys: k.shape[2] ?? 0, queryBlock: BLOCK, keyBlock: BLOCK, qOffset: numberOf(qOffset), kvOffset: numberOf(kvOffset) });
    try {
      return flashAttention(inputs, { blocks: block.lists });
    } finally {
      block.dispose();
    }
  },
});
