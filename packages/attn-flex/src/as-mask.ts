import { custom, toProgram, variablesOf, isProgram, type Mask, type Program } from "@polyhead/core";
import { maskBounds } from "@polyhead/attn-flash/kernel";

const masks = new WeakMap<Program, Mask>();

/**
 * A mask as it is, or a boolean program as a mask. The same program always gives the same mask, so that what is kept by
 * mask (bounds, kernels, block masks) is found again.
 *
 * @throws PolyheadError `MASK_PROGRAM` when the program is not boolean.
 */
export function asMask(mask: Mask | Program): Mask {
  if (!isProgram(mask)) return mask;
  let made = masks.get(mask);
  if (made === undefined) masks.set(mask, (made = custom(mask)));
  return made;
}

/** Whether the keys that a query sees are a range, which kernels walk without being given blocks. */
export const isRange = (mask: Mask): boolean => maskBounds(mask).exact;

/** Whether a mask tells batch rows, or heads, apart. */
export function tellsApart(mask: Mask): { readonly batch: boolean; readonly heads: boolean } {
  const names = variablesOf(...toProgram(mask).outputs);
  return { batch: names.includes("b"), heads: names.includes("h") };
}
