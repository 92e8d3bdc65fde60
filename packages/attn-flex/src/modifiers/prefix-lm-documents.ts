import { and, capture, custom, document, maskMod, PolyheadError, type AndMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";

/**
 * Packed documents, each a prefix and its continuation: a query sees keys of its own document that came before it, or belong to the
 * document's prefix (prefix LM of Raffel et al. 2019, arXiv:1910.10683, packed as in Krell et al. 2021, arXiv:2107.02027).
 *
 * @param lengths of the documents, in the order in which they are packed.
 * @param prefixes how many positions of each are its prefix.
 * @throws PolyheadError `FLEX_EXTENT` unless there is a prefix for each document, and none longer than it.
 */
export function prefixLmDocuments(lengths: readonly number[], prefixes: readonly number[]): AndMask & Drawn {
  const wrong = lengths.findIndex((length, n) => !(length >= 1 && (prefixes[n] ?? -1) >= 0 && (prefixes[n] ?? Infinity) <= length));
  if (wrong >= 0 || lengths.length === 0 || prefixes.length !== lengths.length) {
    throw new PolyheadError("FLEX_EXTENT", `documents of [${lengths.join(", ")}] positions with prefixes of [${prefixes.join(", ")}]; expected a prefix from 0 to its length for each`, "give one prefix length for each document");
  }
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const [ids, ends] = [new Int32Array(total), new Int32Array(total)];
  let start = 0;
  for (const [n, length] of lengths.entries()) {
    ids.fill(n, start, start + length);
    ends.fill(start + (prefixes[n] ?? 0), start, start + length);
    start += length;
  }
  const end = capture(ends, [total], { name: "prefix ends" });
  const seen = custom(maskMod`kv <= q || (kv < ${total} && kv < ${end}[kv])`);
  return drawnMask("prefix LM × documents", and(document(ids), seen), total);
}
