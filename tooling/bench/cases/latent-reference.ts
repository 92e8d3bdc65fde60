import type { LatentProblem } from "./latent-problem.ts";

const EPSILON = 1e-6;

/**
 * The layer's output after its last step, in float64: keys and values of every row are made from its latent, as the paper's formulas
 * have it (arXiv:2405.04434, equations 9 to 11 and 15 to 19).
 */
export function latentReference({ shape, weights, held, rows, x, steps }: LatentProblem): Float64Array {
  const { heads, kvRank, nopeDim, ropeDim, valueDim } = shape;
  const length = kvRank + ropeDim;
  const product = (name: string, input: ArrayLike<number>, first: number, count: number): Float64Array => {
    const weight = weights[name] ?? new Float32Array(0);
    return Float64Array.from({ length: count }, (_, o) => {
      let sum = 0;
      for (let i = 0, at = (first + o) * input.length; i < input.length; i++, at++) sum += weight[at]! * input[i]!;
      return sum;
    });
  };
  const down = product("down.weight", x, 0, length);
  const gain = weights["latentNorm.weight"] ?? new Float32Array(0);
  const root = Math.sqrt(down.subarray(0, kvRank).reduce((sum, v) => sum + v * v, 0) / kvRank + EPSILON);
  const fresh = down.map((v, i) => (i < kvRank ? (v / root) * gain[i]! : v));
  // Every step is fed the same, so every one of them adds this row.
  const all: readonly (Float32Array | Float64Array)[] = [...Array.from({ length: rows }, (_, row) => held.subarray(row * length, (row + 1) * length)), ...Array.from({ length: steps }, () => fresh)];
  const q = product("query.weight", x, 0, heads * (nopeDim + ropeDim));
  const joined = new Float64Array(heads * valueDim);
  for (let head = 0; head < heads; head++) {
    const own = q.subarray(head * (nopeDim + ropeDim), (head + 1) * (nopeDim + ropeDim));
    const scores = all.map((row) => {
      const key = product("up.weight", row.subarray(0, kvRank), head * (nopeDim + valueDim), nopeDim);
      const plain = key.reduce((sum, v, i) => sum + v * own[i]!, 0);
      const shared = own.subarray(nopeDim).reduce((sum, v, i) => sum + v * row[kvRank + i]!, 0);
      return (plain + shared) / Math.sqrt(nopeDim + ropeDim);
    });
    const most = scores.reduce((top, score) => Math.max(top, score), -Infinity);
    const shares = scores.map((score) => Math.exp(score - most));
    const total = shares.reduce((sum, share) => sum + share, 0);
    // W_UV Σ p c = Σ p W_UV c: the values of rows that have no share to speak of need not be made one by one.
    const mean = new Float64Array(kvRank);
    all.forEach((row, i) => { for (let c = 0; c < kvRank; c++) mean[c]! += (shares[i]! / total) * row[c]!; });
    joined.set(product("up.weight", mean, head * (nopeDim + valueDim) + nopeDim, valueDim), head * valueDim);
  }
  return product("out.weight", joined, 0, shape.width);
}
