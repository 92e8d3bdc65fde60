import { custom, maskMod, type CustomMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";
import { extent } from "./extent.ts";

/**
 * A query sees the first `sinks` positions, and itself with the `size − 1` before it: StreamingLLM, Xiao et al. 2023,
 * arXiv:2309.17453, §3.2 and figure 4. Positions stay global, whereas the paper counts them within the cache.
 *
 * @throws PolyheadError `FLEX_EXTENT`
 */
export function attentionSink({ sinks, size }: { readonly sinks: number; readonly size: number }): CustomMask & Drawn {
  const [s, w] = [extent("attentionSink", "sinks", sinks, 0), extent("attentionSink", "size", size)];
  return drawnMask(`${String(s)} sinks, a window of ${String(w)}`, custom(maskMod`kv <= q && (kv < ${s} || q - kv < ${w})`), Math.max(16, 3 * (s + w)));
}
