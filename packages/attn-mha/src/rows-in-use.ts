import type { KernelInputs } from "@polyhead/core";
import { cast, type Tensor } from "@polyhead/tensor";
import { gatherPages } from "./gather-pages.ts";

/** f32 of whatever is stored. */
export const widen = (x: Tensor): Tensor => (x.dtype === "f16" ? cast(x, "f32") : x);

/** Keys and values as plain f32 rows, and what is told about each of them. */
export interface RowsInUse extends Pick<KernelInputs<Tensor>, "k" | "v" | "bias" | "keys"> {
  /** Rows of v from `keys` on may hold anything, NaN too. */
  readonly loose: boolean;
}

/**
 * Pages become rows, f16 becomes f32, and rows that are not in use are cut off, or where their number is live, left to
 * whoever reads the scores.
 */
export function rowsInUse({ k, v, bias, keys, pages }: KernelInputs<Tensor>): RowsInUse {
  const length = pages === undefined ? k.shape[2]! : pages.table.shape[1]! * pages.size;
  // An empty tensor is no operand: no key at all is a matter of the limit alone.
  const live = keys !== undefined && !(typeof keys === "number" && keys > 0);
  const kept = typeof keys === "number" && keys > 0 ? keys : length;
  const rows = (x: Tensor): Tensor => {
    if (pages !== undefined) return gatherPages(x, pages, kept, keys);
    const wide = widen(x);
    return kept === length ? wide : wide.narrow(2, 0, kept);
  };
  return {
    k: rows(k),
    v: rows(v),
    ...(bias && { bias: kept < length && bias.shape[3] === length ? bias.narrow(3, 0, kept) : bias }),
    ...(live && { keys }),
    loose: live && pages === undefined,
  };
}
