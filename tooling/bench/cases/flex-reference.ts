import { sampledRows, type Row } from "./attention-reference.ts";
import { BLOCK, firstKey, type FlexProblem } from "./flex-problem.ts";

/** 2^(−8 (h + 1) / heads): the slopes of ALiBi for a power of two of heads. */
const slopeOf = (heads: number, h: number): number => 2 ** ((-8 * (h + 1)) / heads);

interface Modified {
  readonly score: number;
  /** d score / d raw. */
  readonly slope: number;
}

/** The modifiers once more, in float64: raw score of head h, query i and key j. */
function modified({ modifier, heads, table }: FlexProblem, raw: number, h: number, i: number, j: number): Modified {
  switch (modifier.kind) {
    case "alibi":
      return { score: raw + slopeOf(heads, h) * (j - i), slope: 1 };
    case "softcap": {
      const bent = Math.tanh(raw / modifier.cap);
      return { score: modifier.cap * bent, slope: 1 - bent * bent };
    }
    case "relative":
      return { score: raw + table[entry(modifier.reach, h, i, j)]!, slope: 1 };
    default:
      return { score: raw, slope: 1 };
  }
}

/** Where the table of a relative bias is read. */
const entry = (reach: number, h: number, i: number, j: number): number => h * (2 * reach + 1) + Math.min(reach, Math.max(-reach, j - i)) + reach;

interface Weights {
  /** The first key that is seen; weights are from there on. */
  readonly first: number;
  readonly p: Float64Array;
  readonly slopes: Float64Array;
}

function weights(problem: FlexProblem, first: number, h: number, i: number): Weights {
  const { headDim: d, size, q, k } = problem;
  const [p, slopes] = [new Float64Array(i + 1 - first), new Float64Array(i + 1 - first)];
  let top = -Infinity;
  for (let n = 0; n < p.length; n++) {
    const { score, slope } = modified(problem, dot(q, (h * size + i) * d, k, (h * size + first + n) * d, d) / Math.sqrt(d), h, i, first + n);
    p[n] = score;
    slopes[n] = slope;
    top = Math.max(top, score);
  }
  let sum = 0;
  for (let n = 0; n < p.length; n++) sum += p[n] = Math.exp(p[n]! - top);
  for (let n = 0; n < p.length; n++) p[n]! /= sum;
  return { first, p, slopes };
}

/** Rows of o in float64, as `[heads, size, d]`. */
export function flexOutputRows(problem: FlexProblem, rows: readonly number[] = sampledRows(problem.size)): Row[] {
  const { heads, headDim: d, size, v } = problem;
  const first = firstKey(problem.modifier);
  return Array.from({ length: heads }, (_, h) =>
    rows.map((i) => {
      const { first: from, p } = weights(problem, first(i), h, i);
      const want = new Float64Array(d);
      p.forEach((share, n) => { for (let c = 0; c < d; c++) want[c]! += share * v[(h * size + from + n) * d + c]!; });
      return { at: (h * size + i) * d, want };
    }),
  ).flat();
}

/** All rows of dq, dk, dv in float64, and of the table's gradient where there is one, one array after the other. */
export function flexGradientRows(problem: FlexProblem): Row[] {
  const { heads, headDim: d, size, q, k, v, grad, table, modifier } = problem;
  const first = firstKey(modifier);
  const [dq, dk, dv, dTable] = [q, k, v, table].map(({ length }) => new Float64Array(length)) as [Float64Array, Float64Array, Float64Array, Float64Array];
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < size; i++) {
      const at = (h * size + i) * d;
      const { first: from, p, slopes } = weights(problem, first(i), h, i);
      const dp = p.map((_, n) => dot(grad, at, v, (h * size + from + n) * d, d));
      const delta = p.reduce((sum, share, n) => sum + share * dp[n]!, 0);
      p.forEach((share, n) => {
        const key = (h * size + from + n) * d;
        const after = share * (dp[n]! - delta);
        if (modifier.kind === "relative") dTable[entry(modifier.reach, h, i, from + n)]! += after;
        const ds = (after * slopes[n]!) / Math.sqrt(d);
        for (let c = 0; c < d; c++) {
          dq[at + c]! += ds * k[key + c]!;
          dk[key + c]! += ds * q[at + c]!;
          dv[key + c]! += share * grad[at + c]!;
        }
      });
    }
  }
  const rowsOf = (x: Float64Array, width: number, start: number): Row[] => Array.from({ length: x.length / width }, (_, n) => ({ at: start + n * width, want: x.subarray(n * width, (n + 1) * width) }));
  const sizes = [0, dq.length, dq.length + dk.length, dq.length + dk.length + dv.length];
  return [...[dq, dk, dv].flatMap((x, n) => rowsOf(x, d, sizes[n]!)), ...rowsOf(dTable, table.length / heads, sizes[3]!)];
}

/** 0 for a block in which nothing is seen, 1 for some, 2 for all: `[blocks, blocks]`, each cell looked at. */
export function blockStates({ modifier, size }: FlexProblem): Float32Array {
  const blocks = Math.ceil(size / BLOCK);
  const seen = new Uint32Array(blocks * blocks);
  const first = firstKey(modifier);
  for (let i = 0; i < size; i++) for (let j = first(i); j <= i; j++) seen[Math.floor(i / BLOCK) * blocks + Math.floor(j / BLOCK)]!++;
  const extent = (block: number): number => Math.min(BLOCK, size - block * BLOCK);
  return Float32Array.from(seen, (count, n) => (count === 0 ? 0 : count === extent(Math.floor(n / blocks)) * extent(n % blocks) ? 2 : 1));
}

function dot(a: Float32Array, at: number, b: Float32Array, bt: number, d: number): number {
  let sum = 0;
  for (let c = 0; c < d; c++) sum += a[at + c]! * b[bt + c]!;
  return sum;
}
