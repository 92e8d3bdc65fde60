import { full, type Plan } from "@polyhead/core";
import type { Engine, Tensor } from "@polyhead/tensor";
import { FORWARD, uniform, type Rule } from "@polyhead/testkit";
import { attentionLab } from "../kernels.ts";
import { mapScores } from "../score-map.ts";
import type { BiasTable } from "./tables.ts";

/** Something computed, and what it must be. */
export interface Check {
  readonly what: string;
  readonly got: Tensor;
  readonly want: ArrayLike<number>;
  readonly rule: Rule;
}

/** What the hook adds to scores of 0, element by element. */
export function mapped(engine: Engine, { name, hook, params, places: { heads, queries, keys }, bias, rule }: BiasTable): Check {
  for (const table of hook.program.captures.filter(({ learned }) => learned)) table.set(params[table.name]!);
  const zeros = engine.zeros([1, heads, queries.length, keys.length]);
  return { what: `${name} at each distance`, got: mapScores(hook.program, zeros, { queries, keys }), want: bias, rule };
}

const HEAD = 8;

/** The first query of the places attends to its keys with scores that are the bias alone: o and lse. */
export function attended(engine: Engine, { name, hook, params, places: { heads, queries, keys }, bias }: BiasTable, kernel: string | undefined): { readonly plan: Plan; readonly checks: readonly Check[] } {
  const count = keys.length;
  const problem = { heads, kvHeads: heads, headDimQK: HEAD, headDimV: HEAD, dtype: "f32", mask: full(), qk: [], score: [hook], backward: false, cache: "none", dropout: false, padded: false, sizes: { batch: 1, queries: 1, keys: count } } as const;
  const plan = attentionLab.plan(problem, engine.gpu.caps, kernel);
  // All positive, so that the mean of hundreds of them is no small difference of large sums.
  const values = uniform(heads * count * HEAD, 9).map(Math.abs);
  const tensors = Object.fromEntries(Object.entries(params).map(([param, data]) => [param, engine.tensor(data, hook.params[param]!.shape)]));
  const { o, lse } = plan.kernel.run({
    q: engine.zeros([1, heads, 1, HEAD]), k: engine.zeros([1, heads, count, HEAD]), v: engine.tensor(values, [1, heads, count, HEAD]),
    scale: 1, mask: problem.mask, qOffset: queries[0]!, kvOffset: keys[0]!, qk: [], score: [{ hook, params: tensors }], dropout: 0,
  }) as { o: Tensor; lse: Tensor };
  const want = expected(heads, count, bias.length / heads, bias, values);
  return { plan, checks: [{ what: `${name} in attention`, got: o, want: want.o, rule: FORWARD }, { what: `log-sum-exp of ${name}`, got: lse, want: want.lse, rule: FORWARD }] };
}

/** Softmax of each head's first row of the bias, `stride` numbers from head to head, over the values. */
function expected(heads: number, count: number, stride: number, bias: Float64Array, values: Float32Array): { readonly o: Float64Array; readonly lse: Float64Array } {
  const [o, lse] = [new Float64Array(heads * HEAD), new Float64Array(heads)];
  for (let h = 0; h < heads; h++) {
    const row = bias.subarray(h * stride, h * stride + count);
    const top = row.reduce((most, x) => Math.max(most, x), -Infinity);
    const sum = row.reduce((total, x) => total + Math.exp(x - top), 0);
    lse[h] = top + Math.log(sum);
    row.forEach((x, j) => { for (let c = 0; c < HEAD; c++) o[h * HEAD + c]! += (Math.exp(x - top) / sum) * values[(h * count + j) * HEAD + c]!; });
  }
  return { o, lse };
}
