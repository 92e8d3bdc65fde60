// Pieces of WGSL that the score kernels share. A kernel that uses them binds
//   scores     [B, Hq, Tq, Tk]   scale · q kᵀ
//   bias       [B|1, Hq|1, Tq, Tk], where there is one; params.biasB and params.biasH are its strides, 0 where it is broadcast
//   starts, lengths  [B]         where batch rows are padded
//   floats, ints                 the tables that hooks and mask read (table-layout.ts)
// and takes the scalars of SCORE_PARAMS: keys is Tk, of which inUse are looked at. Rows are numbered over [B, Hq, Tq]; q and kv are
// global positions, j is a row of k.
import { emitWgsl, type Emitted, type Program } from "@polyhead/core";
import { wgsl } from "@polyhead/gpu";
import type { MaskBounds } from "../mask-bounds.ts";
import type { TableLayout } from "../table-layout.ts";

/** What a score kernel is specialised by. */
export interface ScoreShape {
  readonly bias: boolean;
  readonly starts: boolean;
  readonly lengths: boolean;
}

/** Stands for −∞, of which WGSL has no literal and which minus itself is NaN. */
export const LOWEST = "-3.0e38";

export const SCORE_PARAMS = {
  rows: "u32", heads: "u32", queries: "u32", keys: "i32", inUse: "i32", qOffset: "i32", kvOffset: "i32", biasB: "u32", biasH: "u32", minusInfinity: "f32",
} as const;

/** Everything about one row: `row` must be declared. */
export const rowIndices: string = wgsl`
  let i = row % params.queries;
  let hu = (row / params.queries) % params.heads;
  let bu = row / (params.queries * params.heads);
  let h = i32(hu);
  let b = i32(bu);
  let q = i32(i) + params.qOffset;
  let first = row * u32(params.keys);`;

/** `lo` and `hi`: outside of them no key of the row is allowed, so nothing there is read. */
export function rowBounds({ lo, hi }: MaskBounds, { starts, lengths }: Pick<ScoreShape, "starts" | "lengths">): string {
  const largest = ["0i", ...lo, ...(starts ? ["starts[bu]"] : [])].reduce((a, c) => `max(${a}, ${c})`);
  const smallest = ["params.inUse", ...hi, ...(lengths ? ["lengths[bu]"] : [])].reduce((a, c) => `min(${a}, ${c})`);
  return wgsl`
  let lo = ${largest};
  let hi = ${smallest};`;
}

export interface WovenProgram {
  /** Module-scope functions that the code calls, by name. */
  readonly helpers: Readonly<Record<string, string>>;
  /** Statements that compute the program at key row `j`, and then its results. `prefix` keeps the names of locals apart. */
  at(prefix: string, score?: string): { readonly statements: string; readonly results: readonly string[] };
}

/** A program of (score,) b, h, q, kv in the frame of {@link rowIndices}. */
export function weave(program: Program, { read }: TableLayout): WovenProgram {
  const at = (prefix: string, score = "0.0"): Emitted =>
    emitWgsl(program, {
      prefix,
      vars: { score, b: "b", h: "h", q: "q", kv: "kv" },
      read,
    });
  return { helpers: at("x").helpers, at };
}

/** The raw score of key row `j`: with the bias, before the hooks. */
export const rawScore = ({ bias }: Pick<ScoreShape, "bias">): string =>
  bias
    ? "scores[first + u32(j)] + bias[bu * params.biasB + hu * params.biasH + i * u32(params.keys) + u32(j)]"
    : "scores[first + u32(j)]";

/** Module-scope helper functions of several programs, each once. */
export const mergeHelpers = (...woven: readonly (WovenProgram | undefined)[]): string =>
  Object.values(Object.assign({}, ...woven.map((one) => one?.helpers ?? {})) as Record<string, string>).join("\n");
