import { and, capture, causal, custom, document, full, maskMod, or, prefix, scalar, scoreHook, scoreMod, window, type Mask, type ScoreHook } from "@polyhead/core";
import type { Axes, Row } from "../covering.ts";
import { numbers, product, sizesOf, type KernelProblem } from "./problem.ts";
import { FAR } from "./rotation.ts";

/** Heads that tables are made for. */
const HEADS = 8;
/** Distances that relative tables tell apart, to both sides. */
const REACH = 8;

const slopes = capture(Float32Array.from({ length: HEADS }, (_, h) => 2 ** -(h + 1)), [HEADS], { name: "slopes" });
const distances = capture(numbers([HEADS, 2 * REACH + 1], 71).data, [HEADS, 2 * REACH + 1], { name: "distances" });
const relative = capture(numbers([HEADS, 2 * REACH + 1], 72).data, [HEADS, 2 * REACH + 1], { name: "relative", learned: true });
const cap = scalar(2);

export const softcap: ScoreHook = scoreHook({ id: "softcap", program: scoreMod(({ score }) => score.div(cap).tanh().mul(cap)) });
export const alibi: ScoreHook = scoreHook({ id: "alibi", program: scoreMod`score + ${slopes}[h] * (kv - q)` });
export const fixedTable: ScoreHook = scoreHook({ id: "table", program: scoreMod`score + ${distances}[h, clamp(kv - q, -${REACH}, ${REACH}) + ${REACH}]` });
export const learnedTable: ScoreHook = scoreHook({ id: "learned", program: scoreMod`score + ${relative}[h, clamp(kv - q, -${REACH}, ${REACH}) + ${REACH}]` });

const documents = document(Int32Array.from({ length: FAR }, (_, position) => Math.floor((position * position) / 900)));
const holes = custom(maskMod`(q + 2 * kv) % 3 != 0 && kv != 40`);

type Named<V> = Readonly<Record<string, V>>;

/** Masks by what a kernel can do about them: nothing, skip whole blocks, or ask for each score. */
const MASKS: Named<Mask> = {
  full: full(),
  causal: causal(),
  "window around": window(40, 7),
  prefix: prefix(37),
  custom: holes,
  "causal and documents": and(causal(), documents),
  "a window, or documents": or(window(9, 9), documents),
};

const SCORES: Named<readonly ScoreHook[]> = {
  "no hook": [],
  "softcap, alibi": [softcap, alibi],
  "alibi, softcap": [alibi, softcap],
  "fixed table": [fixedTable],
  "learned table": [learnedTable],
  "learned table, softcap": [learnedTable, softcap],
};

/** Query and key heads: multi-head, grouped, multi-query, and a group that is no power of two. */
const HEAD_COUNTS: Named<readonly [number, number]> = { "8/8": [8, 8], "8/2": [8, 2], "8/1": [8, 1], "6/2": [6, 2] };

/** Head sizes of keys and values; 7 is no whole number of fours. */
const SIZES: Named<readonly [number, number]> = { "7": [7, 7], "8": [8, 8], "40": [40, 40], "64": [64, 64], "80": [80, 80], "128": [128, 128], "192/128": [192, 128] };

const LENGTHS = ["1", "63", "100", "129", "300"];

const BIASES: Named<(batch: number, heads: number) => readonly [number, number] | undefined> = {
  "no bias": () => undefined,
  bias: (batch, heads) => [batch, heads],
  "bias of a head": (_, heads) => [1, heads],
  "bias of a batch row": (batch) => [batch, 1],
};

const OFFSETS: Named<(queries: number, keys: number) => Pick<KernelProblem, "qOffset" | "kvOffset">> = {
  none: () => ({}),
  // The last query stands at the last key, wherever that is.
  "last rows": (queries, keys) => ({ kvOffset: Math.max(0, queries - keys), qOffset: Math.max(0, keys - queries) }),
  // Some queries stand before every key.
  shifted: (queries, keys) => ({ kvOffset: 19, qOffset: 14 + Math.max(0, keys - queries) }),
};

const perBatchRow = (batch: number, first: number, others: number): number[] => Array.from({ length: batch }, (_, b) => (b === 0 ? first : others));

const ROWS: Named<(batch: number, keys: number) => Pick<KernelProblem, "starts" | "lengths" | "inUse">> = {
  "all rows": () => ({}),
  starts: (batch, keys) => ({ starts: perBatchRow(batch, Math.floor(keys / 3), 0) }),
  // The second batch row, where there is one, has no keys at all.
  lengths: (batch, keys) => ({ lengths: perBatchRow(batch, Math.ceil(keys * 0.7), 0), starts: perBatchRow(batch, Math.floor(keys / 9), 0) }),
  "keys in use": (_, keys) => ({ inUse: Math.max(1, keys - 9) }),
};

/** Everything that cases of a covering selection differ in. Rotations have laws of their own: inlined, they compile long. */
export const KERNEL_AXES: Axes = {
  score: Object.keys(SCORES),
  mask: Object.keys(MASKS),
  size: Object.keys(SIZES),
  queries: LENGTHS,
  keys: LENGTHS,
  heads: Object.keys(HEAD_COUNTS),
  bias: Object.keys(BIASES),
  rows: Object.keys(ROWS),
  offsets: Object.keys(OFFSETS),
  dtype: ["f32", "f16"],
};

/** Scores that a batch of two may have; more, and one batch row must do. */
const ROOM = 80_000;

/** The problem of one row of the covering selection. */
export function problemOfRow(row: Row<typeof KERNEL_AXES>): KernelProblem {
  const named = <V>(values: Named<V>, axis: string): V => values[row[axis]!]!;
  const [heads, kvHeads] = named(HEAD_COUNTS, "heads");
  const [size, valueSize] = named(SIZES, "size");
  const [queries, keys] = [Number(row["queries"]), Number(row["keys"])];
  const batch = 2 * heads * queries * keys <= ROOM ? 2 : 1;
  const bias = named(BIASES, "bias")(batch, heads);
  return {
    batch, heads, kvHeads, queries, keys, size, valueSize,
    dtype: row["dtype"] === "f16" ? "f16" : "f32",
    mask: named(MASKS, "mask"),
    score: named(SCORES, "score"),
    ...(bias && { bias }),
    ...named(OFFSETS, "offsets")(queries, keys),
    ...named(ROWS, "rows")(batch, keys),
  };
}

/** What a row costs, in missing pairs: tenfold work must bring two pairs more. Work is scores times head size. */
export function costOfRow(row: Row<typeof KERNEL_AXES>): number {
  const { B, Hq, Tq, Tk, D } = sizesOf(problemOfRow(row));
  return 2 * Math.log10(1 + product([B, Hq, Tq, Tk, D + 30]) / 1e6);
}
