import type { KernelInputs, Mask } from "@polyhead/core";
import { maskBounds, sizesOf } from "@polyhead/attn-mha/kernel";
import type { Tensor } from "@polyhead/tensor";
import { tileLimits, type BlockLists, type TileLimits } from "./block-lists.ts";

/** What decides how fast a template is. */
export interface FlashShape {
  readonly batch: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly queries: number;
  readonly keys: number;
  readonly d: number;
  readonly dv: number;
  /** k and v are f16. */
  readonly half: boolean;
  /** Hooks, a bias or a mask beyond ranges act on each score. */
  readonly hooked: boolean;
  /** With block lists, the rows that tiles may have. It does not tell classes apart. */
  readonly tile?: TileLimits;
}

/** See {@link FlashShape.hooked}; of inputs, or of a problem, which knows of no bias. */
export const isHooked = ({ mask, score, bias }: { readonly mask: Mask; readonly score: readonly unknown[]; readonly bias?: unknown }): boolean => score.length > 0 || bias !== undefined || !maskBounds(mask).exact;

export function shapeOf(inputs: KernelInputs<Tensor>, { q, k, v }: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor }, blocks?: BlockLists): FlashShape {
  const sizes = sizesOf(inputs);
  const { B, Hq, Hkv, Tq, Tk } = sizes;
  return { batch: B, heads: Hq, kvHeads: Hkv, queries: Tq, keys: Tk, d: q.shape[3]!, dv: v.shape[3]!, half: k.dtype === "f16", hooked: isHooked(inputs), ...(blocks && { tile: tileLimits(blocks, inputs, sizes) }) };
}

/** Shapes of one class share a winner: lengths and work to the nearest power of two. */
export function shapeClass({ batch, heads, kvHeads, queries, keys, d, dv, half, hooked }: FlashShape): string {
  const near = (x: number): number => 2 ** Math.round(Math.log2(Math.max(1, x)));
  return `b${near(batch * heads)}${kvHeads < heads ? ` group${heads / kvHeads}` : ""} q${near(queries)} k${near(keys)} d${d === dv ? d : `${d}/${dv}`}${half ? " f16" : ""}${hooked ? " hooked" : ""}`;
}
