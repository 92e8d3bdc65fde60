import { PolyheadError } from "@polyhead/core";

/**
 * Which tokens of a sequence a rank of n holds.
 *
 * - `contiguous`: one run each. Under a causal mask the last rank has most of the work.
 * - `zigzag`: 2n runs, of which rank r holds those numbered r and 2n − 1 − r, so that an early and a late one make up for
 *   each other: every rank has the same causal work (Zhu, 2024; also Brandon et al., 2023).
 * - `striped`: every n-th token, from token r on (Brandon et al., 2023, arXiv:2311.09431).
 */
export type RingLayout = "contiguous" | "zigzag" | "striped";

/** A run of tokens of a rank: global positions `start + i · stride`. */
export interface Piece {
  readonly start: number;
  readonly stride: number;
  readonly length: number;
}

export const LAYOUTS: readonly RingLayout[] = ["contiguous", "zigzag", "striped"];

/** @throws PolyheadError `RING_LAYOUT` for a name that is none. */
export function checkLayout(layout: RingLayout): RingLayout {
  if (LAYOUTS.includes(layout)) return layout;
  throw new PolyheadError("RING_LAYOUT", `layout is ${JSON.stringify(layout)}`, `one of ${LAYOUTS.map((name) => `'${name}'`).join(", ")}`);
}

/** Part i of n as even parts as there are. */
function part(i: number, n: number, length: number): Piece {
  const start = Math.floor((i * length) / n);
  return { start, stride: 1, length: Math.floor(((i + 1) * length) / n) - start };
}

/**
 * The tokens of `rank` in a sequence of `length`, in the order in which the rank holds them. Lengths need not divide.
 *
 * @throws PolyheadError `RING_LENGTH` for fewer tokens than ranks, `RING_LAYOUT`.
 */
export function piecesOf(layout: RingLayout, rank: number, ranks: number, length: number): Piece[] {
  if (!(Number.isSafeInteger(length) && length >= ranks)) throw new PolyheadError("RING_LENGTH", `a sequence of ${length} over ${ranks} ranks; expected a token for each rank at least`, "use fewer ranks, or a longer sequence");
  switch (checkLayout(layout)) {
    case "contiguous":
      return [part(rank, ranks, length)];
    case "zigzag":
      return [part(rank, 2 * ranks, length), part(2 * ranks - 1 - rank, 2 * ranks, length)].filter((piece) => piece.length > 0);
    case "striped":
      return [{ start: rank, stride: ranks, length: Math.ceil((length - rank) / ranks) }];
  }
}

export const lengthOf = (pieces: readonly Piece[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

/** Global positions of a rank's rows, in their order. */
export function positionsOf(layout: RingLayout, rank: number, ranks: number, length: number): Uint32Array {
  return Uint32Array.from(piecesOf(layout, rank, ranks, length).flatMap(({ start, stride, length: rows }) => Array.from({ length: rows }, (_, i) => start + i * stride)));
}
