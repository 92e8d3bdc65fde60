// How the rows of a tile are told apart. Plain: a workgroup has one query head, and row r is row i<r> of it. Packed: it has one
// key head, and the rows of all its query heads follow each other, so that they share the keys that are read.
import type { ParamType } from "@polyhead/gpu";
import type { FlashForm } from "../spec.ts";

/** Where a forward pass writes: strides of o in groups of four elements, `oS` from one split to the next. */
export const outputParams: Readonly<Record<string, ParamType>> = { batch: "u32", oS: "u32", oB: "u32", oH: "u32", oT: "u32" };

export interface RowHeads {
  /** Declares `h` and `hk` (packed: `hk`) from the head that the workgroup has. */
  readonly of: (workgroupHead: string) => string;
  /** Declares `i<r>` (and `h<r>`) of row number `row`. */
  readonly index: (r: number, row: string) => string;
  /** The query head of row r. */
  readonly head: (r: number) => string;
  /** Global position of a row of q. */
  readonly q: (i: string) => string;
}

export function rowHeads({ packed }: Pick<FlashForm, "packed">): RowHeads {
  const q = (i: string): string => `i32(${i}) + params.qOffset`;
  if (!packed) return { of: (y) => `let h = ${y}; let hk = h / params.group;`, index: (r, row) => `let i${r} = ${row};`, head: () => "h", q };
  return {
    of: (y) => `let hk = ${y};`,
    index: (r, row) => `let at${r} = ${row}; let i${r} = at${r} % params.queries; let h${r} = hk * params.group + at${r} / params.queries;`,
    head: (r) => `h${r}`,
    q,
  };
}
