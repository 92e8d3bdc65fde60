import { PolyheadError } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import type { PrefillOptions } from "./language-model.ts";

/**
 * Feeds a prompt to caches in chunks, so that memory for scores and activations follows the chunk and not the prompt. All
 * memory that the caches need for it is taken first, so that a prompt that does not fit changes nothing.
 *
 * @param ids   u32 `[B, T]`; `positions` is cut like them
 * @param feed  makes the hidden states `[B, rows, width]` of one chunk
 * @returns the hidden state of the last token, `[B, 1, width]`
 * @throws PolyheadError `MODEL_PROMPT`, `CONFIG_RANGE`, and what the caches throw when they are full.
 */
export function prefillInChunks(
  engine: Engine,
  ids: Tensor,
  { cache, chunk = 512, positions }: Pick<PrefillOptions, "cache" | "chunk" | "positions">,
  feed: (ids: Tensor, positions: Pick<PrefillOptions, "positions">) => Tensor,
): Tensor {
  const [, length = 0] = ids.shape;
  if (!(Number.isInteger(chunk) && chunk >= 1)) throw new PolyheadError("CONFIG_RANGE", `chunk is ${chunk}; expected a whole number of at least 1`, "leave it out, or give the tokens that are fed at a time");
  if (length === 0) throw new PolyheadError("MODEL_PROMPT", "the prompt is empty", "start from at least one token");
  for (const layer of cache) if (layer.overflow === "error") layer.reserve(length);
  const step = Math.min(chunk, ...cache.map((layer) => layer.largestStep));
  return engine.scope(() => {
    const part = (at: number): Tensor => {
      const rows = Math.min(step, length - at);
      return feed(ids.narrow(1, at, rows), positions === undefined ? {} : { positions: positions.narrow(1, at, rows) });
    };
    let at = 0;
    for (; at + step < length; at += step) engine.scope(() => { part(at); });
    const last = part(at);
    return last.narrow(1, last.shape[1]! - 1, 1);
  });
}
