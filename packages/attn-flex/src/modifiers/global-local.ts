import { custom, maskMod, type CustomMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";
import { extent } from "./extent.ts";

/**
 * The first `globals` positions see everything and are seen by all; the others see `reach` positions to both sides: Longformer,
 * Beltagy et al. 2020, arXiv:2004.05150, §3.1 and figure 2d; ETC and BigBird likewise.
 *
 * @throws PolyheadError `FLEX_EXTENT`
 */
export function globalLocal({ globals, reach }: { readonly globals: number; readonly reach: number }): CustomMask & Drawn {
  const [g, r] = [extent("globalLocal", "globals", globals, 0), extent("globalLocal", "reach", reach, 0)];
  return drawnMask(`${String(g)} global, ${String(r)} to both sides`, custom(maskMod`q < ${g} || kv < ${g} || abs(q - kv) <= ${r}`), Math.max(16, 4 * (g + r)));
}
