import { and, capture, causal, custom, document, maskMod, materialize, not, or, prefix, window, type Mask } from "@polyhead/core";
import { EMPTY, FULL, PARTIAL, type BlockSizes } from "../src/sizes.ts";

/** Three documents, told by position, of uneven lengths. */
export const ids: Int32Array = Int32Array.from({ length: 400 }, (_, position) => (position < 70 ? 0 : position < 75 ? 1 : 2));
const perRow = Int32Array.from({ length: 2 * 400 }, (_, n) => Math.floor((n % 400) / (n < 400 ? 50 : 130)));
const reach = capture(Int32Array.of(5, 40, 100), [3], { name: "reach" });

/** Masks of all kinds, by what they are. */
export const MASKS: Readonly<Record<string, Mask>> = {
  causal: causal(),
  "a window": window(40, 7),
  "a prefix": prefix(37),
  "causal documents": and(causal(), document(ids)),
  "documents of each batch row": document(perRow, [2, 400]),
  "all but a window": not(window(20, 20)),
  "a window or documents": or(window(9, 9), document(ids)),
  "a reach for each head": custom(maskMod`abs(q - kv) <= ${reach}[h]`),
  "every third": custom(maskMod`(q + 2 * kv) % 3 != 0`),
  nothing: not(custom(maskMod`q >= 0`)),
};

/** The states of the blocks, cell by cell. */
export function statesByCells(mask: Mask, sizes: BlockSizes): Uint8Array {
  const { batch, heads, queries, keys, queryBlock, keyBlock } = sizes;
  const cells = materialize(mask, sizes);
  const [rows, columns] = [Math.ceil(queries / queryBlock), Math.ceil(keys / keyBlock)];
  return Uint8Array.from({ length: batch * heads * rows * columns }, (_, n) => {
    const [plane, i, j] = [Math.floor(n / rows / columns), Math.floor(n / columns) % rows, n % columns];
    let [some, all] = [false, true];
    for (let q = i * queryBlock; q < Math.min(queries, (i + 1) * queryBlock); q++) {
      for (let kv = j * keyBlock; kv < Math.min(keys, (j + 1) * keyBlock); kv++) {
        const allowed = cells[(plane * queries + q) * keys + kv] === 1;
        some ||= allowed;
        all &&= allowed;
      }
    }
    return all ? FULL : some ? PARTIAL : EMPTY;
  });
}
