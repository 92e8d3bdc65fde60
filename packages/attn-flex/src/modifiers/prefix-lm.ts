import { prefix, type PrefixMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";
import { extent } from "./extent.ts";

/**
 * Everybody sees the first `length` positions, and beyond them what came before: Raffel et al. 2019, "Exploring the Limits of
 * Transfer Learning" (T5), arXiv:1910.10683, §3.2.1 and figure 3.
 *
 * @throws PolyheadError `FLEX_EXTENT`
 */
export function prefixLm(length: number): PrefixMask & Drawn {
  return drawnMask(`prefix LM, ${String(length)} positions`, prefix(extent("prefixLm", "length", length, 0)), Math.max(16, 3 * length));
}
