// How the rows of a tile are told apart, which keys they walk over and where their results go. Plain: a workgroup has one query
// head, and row r is row i<r> of it. Packed: it has one key head, and the rows of all its query heads follow each other, so
// that they share the keys that are read.
import { wgsl, type ParamType } from "@polyhead/gpu";
import type { FlashForm } from "../spec.ts";
import { LN2, MASKED } from "./frame.ts";

/** Where a forward pass writes: strides of o in groups of four elements, `oS` from one split to the next. */
export const outputParams: Readonly<Record<string, ParamType>> = { batch: "u32", oS: "u32", oB: "u32", oH: "u32", oT: "u32" };

/** `outputBase(b, h, i, part)` and `lseIndex(b, h, i, part)`. */
export const OUTPUT: string = wgsl`
fn outputBase(b: u32, h: u32, i: u32, part: u32) -> u32 { return part * params.oS + b * params.oB + h * params.oH + i * params.oT; }
fn lseIndex(b: u32, h: u32, i: u32, part: u32) -> u32 { return ((part * params.batch + b) * params.heads + h) * params.queries + i; }`;

/** What a forward pass stores as the log-sum-exp of a row: natural, or log2 of a part that `combine` joins with others. */
export const lseOf = (split: boolean, most: string, sum: string): string =>
  split ? `select(${MASKED}, ${most} + log2(${sum}), ${sum} > 0.0)` : `select(params.minusInfinity, (${most} + log2(${sum})) * ${LN2}, ${sum} > 0.0)`;

export interface RowHeads {
  /** Declares `h` and `hk` (packed: `hk`) from the head that the workgroup has. */
  readonly of: (workgroupHead: string) => string;
  /** Declares `i<r>` (and `h<r>`) of row number `row`. */
  readonly index: (r: number | string, row: string) => string;
  /** The query head of row r. */
  readonly head: (r: number | string) => string;
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

/**
 * Declares what query rows first … last walk over: keys lo … hi; between loEdge and hiEdge all rows see all of them, but for
 * what `allowed` says; firstJ … lastJ may be read. Where `part` is declared, lo and hi keep to that split of the keys.
 */
export function keyWalk({ packed, blocks }: Pick<FlashForm, "packed" | "blocks">, first: string, last: string, parted: boolean): string {
  const [a, z] = packed ? ["0u", "params.queries - 1u"] : [first, last];
  const bound = (side: "Lo" | "Hi", i: string): string => `key${side}(i32(${i}) + params.qOffset, b)`;
  // With lists, a split is a share of the list.
  const cut = parted && !blocks;
  return wgsl`
  let firstJ = firstKey(b);
  let lastJ = endKey(b) - 1i;
  let loEdge = ${bound("Lo", z)};
  let hiEdge = ${bound("Hi", a)};
  let lo = ${cut ? `max(${bound("Lo", a)}, part * params.span)` : bound("Lo", a)};
  let hi = ${cut ? `min(${bound("Hi", z)}, (part + 1i) * params.span)` : bound("Hi", z)};`;
}
