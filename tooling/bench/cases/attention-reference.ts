import { uniform } from "../random.ts";
import type { AttentionProblem } from "./attention-problem.ts";

/** A row of an output that lies `at` numbers from its start. */
export interface Row {
  readonly at: number;
  readonly want: Float64Array;
}

/** Rows a head that are checked where there are too many for all. */
const SAMPLED = 32;
/** Up to so many rows, all are checked. */
const ALL = 512;

/** Rows that a kernel may get wrong on its own (first, last, beside tile borders), and others at random. */
export function sampledRows(rows: number): number[] {
  if (rows <= ALL) return Array.from({ length: rows }, (_, row) => row);
  const next = uniform(rows);
  const chosen = new Set([0, 1, 31, 32, 63, 64, 127, 128, rows >> 1, rows - 2, rows - 1]);
  while (chosen.size < SAMPLED) chosen.add(Math.floor(next() * rows));
  return [...chosen].sort((a, b) => a - b);
}

/** Rows of o = softmax(q kᵀ / √d) v in float64, as `[heads, queries, d]`. */
export function outputRows(problem: AttentionProblem, rows: readonly number[] = sampledRows(problem.queries)): Row[] {
  const { heads, headDim: d, queries } = problem;
  return Array.from({ length: heads }, (_, head) =>
    rows.map((row) => {
      const { p, v } = weights(problem, head, row);
      const want = new Float64Array(d);
      p.forEach((share, j) => { for (let c = 0; c < d; c++) want[c]! += share * v[j * d + c]!; });
      return { at: (head * queries + row) * d, want };
    }),
  ).flat();
}

/**
 * All rows of dq, dk and dv in float64, one array after the other. With p the weights of a row and dp = dO vᵀ:
 * ds = p (dp − p·dp) / √d, dq = ds k, dk = dsᵀ q, dv = pᵀ dO.
 */
export function gradientRows(problem: AttentionProblem): Row[] {
  const { heads, kvHeads, headDim: d, queries, keys, q, grad } = problem;
  const dq = new Float64Array(heads * queries * d);
  const dk = new Float64Array(kvHeads * keys * d);
  const dv = new Float64Array(kvHeads * keys * d);
  for (let head = 0; head < heads; head++) {
    const shared = Math.floor((head * kvHeads) / heads) * keys * d;
    for (let row = 0; row < queries; row++) {
      const at = (head * queries + row) * d;
      const { p, k, v } = weights(problem, head, row);
      const dp = p.map((_, j) => dot(grad, at, v, j * d, d));
      const delta = p.reduce((sum, share, j) => sum + share * dp[j]!, 0);
      p.forEach((share, j) => {
        const ds = (share * (dp[j]! - delta)) / Math.sqrt(d);
        for (let c = 0, key = j * d; c < d; c++, key++) {
          dq[at + c]! += ds * k[key]!;
          dk[shared + key]! += ds * q[at + c]!;
          dv[shared + key]! += share * grad[at + c]!;
        }
      });
    }
  }
  const rowsOf = (x: Float64Array, start: number): Row[] => Array.from({ length: x.length / d }, (_, i) => ({ at: start + i * d, want: x.subarray(i * d, (i + 1) * d) }));
  return [...rowsOf(dq, 0), ...rowsOf(dk, dq.length), ...rowsOf(dv, dq.length + dk.length)];
}

/** Softmax of one query's scores over the keys that it sees, and the keys and values of its head. */
function weights({ causal, heads, kvHeads, headDim: d, queries, keys, q, k, v }: AttentionProblem, head: number, row: number): { p: Float64Array; k: Float32Array; v: Float32Array } {
  const group = Math.floor((head * kvHeads) / heads);
  const [headK, headV] = [k, v].map((x) => x.subarray(group * keys * d, (group + 1) * keys * d)) as [Float32Array, Float32Array];
  const p = new Float64Array(causal ? row + 1 + keys - queries : keys);
  let top = -Infinity;
  for (let j = 0; j < p.length; j++) {
    p[j] = dot(q, (head * queries + row) * d, headK, j * d, d) / Math.sqrt(d);
    top = Math.max(top, p[j]!);
  }
  let sum = 0;
  for (let j = 0; j < p.length; j++) sum += p[j] = Math.exp(p[j]! - top);
  for (let j = 0; j < p.length; j++) p[j]! /= sum;
  return { p, k: headK, v: headV };
}

function dot(a: Float32Array, at: number, b: Float32Array, bt: number, d: number): number {
  let sum = 0;
  for (let c = 0; c < d; c++) sum += a[at + c]! * b[bt + c]!;
  return sum;
}

/**
 * Largest deviation in any row, relative to the largest entry of that row, or to a hundredth of the largest of all where the
 * row is smaller (the first query of a causal mask has no gradient). NaN when an entry is, or when the output has another size.
 */
export function rowsError(got: Float32Array, rows: readonly Row[], size: number): number {
  if (got.length !== size) return NaN;
  const largest = (x: Float64Array): number => x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const tops = rows.map(({ want }) => largest(want));
  const least = 0.01 * tops.reduce((most, top) => Math.max(most, top), 0);
  let worst = 0;
  rows.forEach(({ at, want }, i) => {
    let error = 0;
    for (let c = 0; c < want.length; c++) error = Math.max(error, Math.abs(got[at + c]! - want[c]!));
    worst = Math.max(worst, error / Math.max(tops[i]!, least));
  });
  return worst;
}
