import { PolyheadError, type KernelInputs } from "@polyhead/core";
import { readable } from "@polyhead/attn-flash/kernel";
import { numberOf } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";

/** q, k and v as they are computed with and sent: heads in fours, k and v of one dtype and contiguous. Differentiable. */
export function onWire(inputs: KernelInputs<Tensor>): Pick<KernelInputs<Tensor>, "q" | "k" | "v"> {
  const { q, k, v } = readable(inputs);
  return { q, k: k.contiguous(), v: v.contiguous() };
}

/** @throws PolyheadError `ATTN_HOOK`, `ATTN_CACHE_KIND`, `ATTN_BIAS`, `ATTN_DROPOUT` for what does not work over several ranks. */
export function offsetsOf({ qOffset, kvOffset, keys, pages, qk, bias, dropout }: KernelInputs<Tensor>): { readonly qOffset: number; readonly kvOffset: number } {
  if (qk.length > 0) throw new PolyheadError("ATTN_HOOK", `qk hooks inlined in a ring: ${qk.map(({ hook }) => hook.id).join(", ")}`, "lower them as a prepass, with the positions of this rank's rows; the planner does");
  if (keys !== undefined || pages !== undefined) throw new PolyheadError("ATTN_CACHE_KIND", "a ring was given the rows of a cache", "decode on one device, with 'flash'");
  if (bias !== undefined) throw new PolyheadError("ATTN_BIAS", `a bias of shape [${bias.shape.join(", ")}] was given to a ring, where no rank has all keys`, "write it as a score hook of global positions");
  if (dropout > 0) throw new PolyheadError("ATTN_DROPOUT", `dropout of ${dropout} in a fused kernel`, "leave attention dropout out: the unfused kernel alone applies it, on one device");
  return { qOffset: numberOf(qOffset), kvOffset: numberOf(kvOffset) };
}
