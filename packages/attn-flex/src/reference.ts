/** One head in float64: rows of q, k and v, row-major; row i of q stands at position i, row j of k likewise. */
export interface FlexProblem {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly d: number;
  readonly dv: number;
  readonly scale: number;
  readonly scoreMod: (score: number, q: number, kv: number) => number;
  readonly maskMod: (q: number, kv: number) => boolean;
  readonly queryBlock: number;
  readonly keyBlock: number;
}

/** Output, log-sum-exp, and how many blocks were computed. */
export interface FlexResult {
  readonly o: Float64Array;
  readonly lse: Float64Array;
  readonly visited: number;
}

/**
 * Block-sparse attention with modifiers, as FlexAttention (Dong et al., 2024, arXiv:2412.05496)
 * computes it: blocks without an allowed cell are left out; a row keeps its running maximum m and sum l (FlashAttention's
 * online softmax); the mask acts after the score modifier.
 */
export function flexReference(problem: FlexProblem): FlexResult {
  const { q, k, v, d, dv, scale, scoreMod, maskMod, queryBlock, keyBlock } = problem;
  const [queries, keys] = [q.length / d, k.length / d];
  const o = new Float64Array(queries * dv);
  const [m, l] = [new Float64Array(queries).fill(-Infinity), new Float64Array(queries)];
  let visited = 0;
  for (const rows of cut(queries, queryBlock)) {
    for (const columns of cut(keys, keyBlock)) {
      const allowed = rows.flatMap((i) => columns.filter((j) => maskMod(i, j)).map((j) => [i, j] as const));
      if (allowed.length === 0) continue;
      visited++;
      for (const [i, j] of allowed) {
        const s = scoreMod(scale * dot(q, i, k, j, d), i, j);
        const before = m[i] ?? 0;
        const next = Math.max(before, s);
        const shrink = Math.exp(before - next);
        const p = Math.exp(s - next);
        l[i] = (l[i] ?? 0) * shrink + p;
        for (let c = 0; c < dv; c++) o[i * dv + c] = (o[i * dv + c] ?? 0) * shrink + p * (v[j * dv + c] ?? 0);
        m[i] = next;
      }
    }
  }
  // A row with no allowed key has l = 0: its output stays 0, and its log-sum-exp −∞.
  const lse = l.map((sum, i) => (m[i] ?? 0) + Math.log(sum));
  return { o: o.map((sum, n) => sum / Math.max(l[Math.floor(n / dv)] ?? 0, Number.MIN_VALUE)), lse, visited };
}

function cut(length: number, block: number): number[][] {
  return Array.from({ length: Math.ceil(length / block) }, (_, n) => Array.from({ length: Math.min(block, length - n * block) }, (__, i) => n * block + i));
}

function dot(a: Float64Array, i: number, b: Float64Array, j: number, d: number): number {
  let sum = 0;
  for (let c = 0; c < d; c++) sum += (a[i * d + c] ?? 0) * (b[j * d + c] ?? 0);
  return sum;
}
