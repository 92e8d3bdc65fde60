import * as flash from "@polyhead/attn-flash/kernel";
import type { KernelInputs, KernelOutputs } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";

export type AttentionKernel = (inputs: KernelInputs<Tensor>) => KernelOutputs<Tensor>;

/** The fused kernel, once its package has one. */
export function flashKernel(): AttentionKernel {
  const { flashAttention } = flash as { flashAttention?: AttentionKernel };
  if (flashAttention === undefined) throw new Error("@polyhead/attn-flash has no kernel yet");
  return flashAttention;
}
