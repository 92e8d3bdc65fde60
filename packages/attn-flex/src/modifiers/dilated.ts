import { custom, maskMod, type CustomMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";
import { extent } from "./extent.ts";

/**
 * A query sees itself and the `size − 1` keys before it that stand `step` positions apart: the dilated sliding window of
 * Longformer, Beltagy et al. 2020, arXiv:2004.05150, §3.1 and figure 2c, looking back.
 *
 * @throws PolyheadError `FLEX_EXTENT`
 */
export function dilated({ size, step }: { readonly size: number; readonly step: number }): CustomMask & Drawn {
  const reach = extent("dilated", "size", size) * extent("dilated", "step", step);
  return drawnMask(`dilated window of ${String(size)}, ${String(step)} apart`, custom(maskMod`kv <= q && q - kv < ${reach} && (q - kv) % ${step} == 0`), Math.max(16, 2 * reach));
}
