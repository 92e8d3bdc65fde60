import { causal, window } from "@polyhead/core";
import type { Law } from "../laws.ts";
import { alibi } from "./axes.ts";
import { lawOf } from "./law.ts";
import { dataOf, sizesOf, type KernelProblem, type Numbers } from "./problem.ts";
import { assertResults, referenceResults, runKernel } from "./run.ts";
import type { KernelTensor, KernelUnderTest } from "./subject.ts";

/** Rows `[B, H, T, D]` scattered over pages of a pool `[P, H, size, D]`; what no row occupies is NaN. */
function scatter({ data, shape }: Numbers, table: readonly number[], pages: number, size: number): Numbers {
  const [B = 0, H = 0, T = 0, D = 0] = shape;
  const each = Math.ceil(T / size);
  const pool = new Float32Array(pages * H * size * D).fill(NaN);
  for (let b = 0; b < B; b++) for (let h = 0; h < H; h++) for (let t = 0; t < T; t++) {
    const page = table[b * each + Math.floor(t / size)]!;
    pool.set(data.subarray(((b * H + h) * T + t) * D, ((b * H + h) * T + t + 1) * D), ((page * H + h) * size + (t % size)) * D);
  }
  return { data: pool, shape: [pages, H, size, D] };
}

/** Laws for kernels that read keys and values from pages. */
export function pageLaws<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law[] {
  if (subject.kernel.paged !== true) return [];
  const base: KernelProblem = { batch: 2, heads: 6, kvHeads: 2, queries: 1, keys: 100, size: 32, mask: causal(), score: [alibi], qOffset: 99 };
  const problems: readonly (readonly [size: number, KernelProblem])[] = [
    [16, base],
    [16, { ...base, keys: 97, queries: 5, qOffset: 92, mask: window(40) }],
    [64, { ...base, keys: 300, queries: 33, qOffset: 267, lengths: [300, 170], starts: [9, 0] }],
    [32, { ...base, inUse: 70, qOffset: 69, dtype: "f16" }],
  ];
  return problems.map(([size, problem]) => {
    const { B, Tq, Tk, Hkv, D } = sizesOf(problem);
    return lawOf(subject, `pages give what rows give: ${Tq} × ${Tk} by pages of ${size}, ${problem.dtype ?? "f32"}`, [problem], async () => {
      const data = dataOf(problem, 400 + size);
      const each = Math.ceil(Tk / size);
      const pages = B * each + 3;
      // 7 shares no factor with any of the pools' sizes, so each page is taken once, far from in order.
      const order = Array.from({ length: pages }, (_, i) => i).sort((a, b) => ((a * 7 + 5) % pages) - ((b * 7 + 5) % pages)).slice(0, B * each);
      const pool = (rows: Numbers): Numbers => scatter(rows, order, pages, size);
      const { engine, ops } = subject;
      const stored = ({ data: numbers, shape }: Numbers): T => {
        const x = engine.tensor(numbers, shape);
        return problem.dtype === "f16" ? ops.cast(x, "f16") : x;
      };
      const got = await runKernel(subject, problem, data, {
        through: "nothing",
        adjust: (inputs) => ({ ...inputs, k: stored(pool(data.k)), v: stored(pool(data.v)), keys: problem.inUse ?? Tk, pages: { table: engine.tensor(order, [B, each], { dtype: "i32" }), size } }),
      });
      assertResults(got, referenceResults(problem, data, "nothing"), { ...problem, kvHeads: Hkv, size: D });
    });
  });
}
