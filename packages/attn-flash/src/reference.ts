/** One head in float64, row-major: what the kernels compute, in the order of the papers' algorithms. */
export interface FlashReference {
  /** `[Tq, d]`. */
  readonly q: Float64Array;
  /** `[Tk, d]`. */
  readonly k: Float64Array;
  /** `[Tk, dv]`. */
  readonly v: Float64Array;
  readonly d: number;
  readonly dv: number;
  readonly scale: number;
  /** Whether query row i may see key row j. Default: always. */
  readonly allows?: (i: number, j: number) => boolean;
  /** Key rows of a block. */
  readonly block: number;
}

export interface FlashReferenceOutputs {
  /** `[Tq, dv]`. */
  readonly o: Float64Array;
  /** `[Tq]`, natural. */
  readonly lse: Float64Array;
}

const dot = (a: Float64Array, i: number, b: Float64Array, j: number, n: number): number => {
  let sum = 0;
  for (let x = 0; x < n; x++) sum += a[i * n + x]! * b[j * n + x]!;
  return sum;
};

/**
 * FlashAttention-2, algorithm 1 (Dao, 2023, arXiv:2307.08691): for each row a running maximum m, a running sum l and an
 * output that is not yet divided; a new block of keys rescales what came before by exp(m_old − m_new).
 */
export function flashReference({ q, k, v, d, dv, scale, allows = () => true, block }: FlashReference): FlashReferenceOutputs {
  const [rows, keys] = [q.length / d, k.length / d];
  const o = new Float64Array(rows * dv);
  const lse = new Float64Array(rows).fill(-Infinity);
  for (let i = 0; i < rows; i++) {
    let [m, l] = [-Infinity, 0];
    for (let j0 = 0; j0 < keys; j0 += block) {
      const seen = Array.from({ length: Math.min(block, keys - j0) }, (_, n) => j0 + n).filter((j) => allows(i, j));
      const s = seen.map((j) => scale * dot(q, i, k, j, d));
      const next = Math.max(m, ...s);
      if (next === -Infinity) continue;
      const p = s.map((x) => Math.exp(x - next));
      const before = Math.exp(m - next);
      l = l * before + p.reduce((sum, x) => sum + x, 0);
      for (let c = 0; c < dv; c++) o[i * dv + c] = o[i * dv + c]! * before + seen.reduce((sum, j, n) => sum + p[n]! * v[j * dv + c]!, 0);
      m = next;
    }
    if (l === 0) continue;
    for (let c = 0; c < dv; c++) o[i * dv + c]! /= l;
    lse[i] = m + Math.log(l);
  }
  return { o, lse };
}

/**
 * FlashAttention-2, algorithm 2: weights come again from scores and log-sum-exp, p = exp(s − lse), and with Δ = Σ g · o
 *   dv = pᵀ g,   ds = p ∘ (g vᵀ − Δ),   dq = scale · ds k,   dk = scale · dsᵀ q.
 */
export function flashReferenceGradients({ q, k, v, d, dv, scale, allows = () => true }: FlashReference, { o, lse }: FlashReferenceOutputs, g: Float64Array): { readonly q: Float64Array; readonly k: Float64Array; readonly v: Float64Array } {
  const [rows, keys] = [q.length / d, k.length / d];
  const gradients = { q: new Float64Array(q.length), k: new Float64Array(k.length), v: new Float64Array(v.length) };
  for (let i = 0; i < rows; i++) {
    const delta = dot(g, i, o, i, dv);
    for (let j = 0; j < keys; j++) {
      if (!allows(i, j)) continue;
      const p = Math.exp(scale * dot(q, i, k, j, d) - lse[i]!);
      const ds = p * (dot(g, i, v, j, dv) - delta);
      for (let c = 0; c < dv; c++) gradients.v[j * dv + c]! += p * g[i * dv + c]!;
      for (let c = 0; c < d; c++) {
        gradients.q[i * d + c]! += scale * ds * k[j * d + c]!;
        gradients.k[j * d + c]! += scale * ds * q[i * d + c]!;
      }
    }
  }
  return gradients;
}
