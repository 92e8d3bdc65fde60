import { document, type DocumentMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";

/**
 * Sequences packed into one row do not see each other: a query sees keys with its own id, `ids[position]`, i32 `[T]` or, with
 * `shape`, `[B, T]` (Krell et al. 2021, "Efficient Sequence Packing without Cross-contamination", arXiv:2107.02027). Usually
 * joined with causal: `and(causal(), documents(ids))`.
 *
 * @throws PolyheadError `MASK_DOCUMENT`
 */
export function documents(ids: Int32Array, shape?: readonly number[]): DocumentMask & Drawn {
  const mask = document(ids, shape);
  return drawnMask("documents", mask, mask.ids.shape.at(-1) ?? 1);
}
