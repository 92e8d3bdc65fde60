import { PolyheadError, type KernelInputs, type KernelOutputs } from "@polyhead/core";
import { flashAttention } from "@polyhead/attn-flash/kernel";
import { numberOf } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";
import { tellsApart } from "./as-mask.ts";
import type { BlockMask } from "./block-mask.ts";
import { checkEngine } from "./own-engine.ts";

/**
 * A call over a block mask that somebody made.
 *
 * @throws PolyheadError `FLEX_DEVICE`, `FLEX_STALE`, `FLEX_BLOCK_MASK` when the block mask is not one of this call.
 */
export function withBlockMask(call: KernelInputs<Tensor>, block: BlockMask): KernelOutputs<Tensor> {
  const { q, k } = call;
  const { engine } = q;
  checkEngine("the block mask", block, engine, "create it with q.engine");
  const [B = 1, H = 1, Tq = 1] = q.shape;
  const Tk = k.shape[2] ?? 1;
  checkPlanes(block, { B, H });
  const [from, fromKey] = [numberOf(call.qOffset), numberOf(call.kvOffset)];
  const span = (offset: number, length: number): string => `${String(offset)} to ${String(offset + length - 1)}`;
  if (from < block.qOffset || from + Tq > block.qOffset + block.queries || fromKey !== block.kvOffset || Tk > block.keys) {
    throw new PolyheadError(
      "FLEX_BLOCK_MASK",
      `the block mask covers queries ${span(block.qOffset, block.queries)} and keys ${span(block.kvOffset, block.keys)}; the call has queries ${span(from, Tq)} and keys ${span(fromKey, Tk)}`,
      "create it for these sizes, and pass the qOffset and kvOffset of the call",
    );
  }
  // Replays of a recording must see what captures hold by then: the recording tells blocks apart itself.
  if (engine.gpu.recording && block.hasCaptures) {
    const fresh = block.rebuild("gpu");
    try {
      return flashAttention(call, { blocks: fresh.lists });
    } finally {
      fresh.dispose();
    }
  }
  block.refuseStale();
  if (block.serves({ qOffset: from, queries: Tq })) return flashAttention(call, { blocks: block.lists });
  const part = block.slice({ qOffset: from, queries: Tq });
  try {
    return flashAttention(call, { blocks: part.lists });
  } finally {
    part.dispose();
  }
}

/** Whether a block mask may stand for a call of B batch rows and H heads. @throws PolyheadError `FLEX_BLOCK_MASK`. */
function checkPlanes(block: BlockMask, { B, H }: { readonly B: number; readonly H: number }): void {
  const apart = tellsApart(block.mask);
  for (const [axis, given, wanted, told] of [["batch", block.batch, B, apart.batch], ["heads", block.heads, H, apart.heads]] as const) {
    if (given === wanted || (given === 1 && !told)) continue;
    throw new PolyheadError("FLEX_BLOCK_MASK", `the block mask was made for ${axis} = ${String(given)} and the call has ${String(wanted)}${given === 1 ? ", which the mask tells apart" : ""}`, `create it with ${axis}: ${told ? String(wanted) : "1, since the mask is the same for all"}`);
  }
}
