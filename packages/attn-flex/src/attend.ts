import { isPolyheadError, type KernelInputs, type KernelOutputs } from "@polyhead/core";
import { flashAttention } from "@polyhead/attn-flash/kernel";
import type { Tensor } from "@polyhead/tensor";
import { AUTOMATIC, blocksOf, type BlockPolicy } from "./blocks-of.ts";

/** Fused attention that leaves out empty blocks of the mask, and does not ask it in full ones. */
export function attend(inputs: KernelInputs<Tensor>, policy: BlockPolicy = AUTOMATIC): KernelOutputs<Tensor> {
  const found = blocksOf(inputs, policy);
  if (found === undefined) return flashAttention(inputs);
  try {
    return flashAttention(inputs, { blocks: found.blockMask.lists });
  } catch (error) {
    // Heads too large for any template that walks lists: the mask alone says the same.
    if (isPolyheadError(error, "ATTN_BLOCKS")) return flashAttention(inputs);
    throw error;
  } finally {
    if (found.own) found.blockMask.dispose();
  }
}
