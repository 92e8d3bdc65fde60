import { window, type WindowMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";
import { extent } from "./extent.ts";

/**
 * A query sees itself and the `size − 1` positions before it: the sliding window of Mistral 7B, Jiang et al. 2023,
 * arXiv:2310.06825, §2 (there "the hidden state at position i attends to hidden states from i − W to i").
 *
 * @throws PolyheadError `FLEX_EXTENT`
 */
export function slidingWindow(size: number): WindowMask & Drawn {
  return drawnMask(`sliding window of ${String(size)}`, window(extent("slidingWindow", "size", size) - 1), 4 * size);
}
