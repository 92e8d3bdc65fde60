import { causal, full, type Capture, type KernelInputs, type KernelPlugin, type Mask, type ScoreHook } from "@polyhead/core";
import { lawOf } from "./kernel-laws/law.ts";
import type { KernelProblem } from "./kernel-laws/problem.ts";
import { checkProblem } from "./kernel-laws/run.ts";
import type { KernelEngine, KernelOps, KernelTensor } from "./kernel-laws/subject.ts";
import type { Law } from "./laws.ts";
import { uniform } from "./random.ts";

/** Score hooks of a position, and what they are run on. */
export interface ScoreHooksUnderTest<T extends KernelTensor<T>> {
  readonly hooks: readonly ScoreHook[];
  /** Query heads that the hooks were made for: even, so that two may share a key head. */
  readonly heads: number;
  readonly kernels: readonly KernelPlugin<string, T>[];
  readonly engine: KernelEngine<T>;
  readonly ops: KernelOps<NoInfer<T>>;
  /** The hooks as a bias `[B, Hq, Tq, Tk]`: the other way to lower additive ones. */
  bias(inputs: KernelInputs<T>): NoInfer<T>;
  /** Numbers for a learned table, which often starts where it does nothing. Default: random ones in [−1, 1). */
  readonly numbers?: (table: Capture) => ArrayLike<number> | undefined;
}

const shared: readonly (readonly [string, Mask, Omit<KernelProblem, "mask" | "heads" | "kvHeads" | "size">])[] = [
  ["from the start", causal(), { batch: 2, queries: 9, keys: 9 }],
  ["in both directions", full(), { queries: 7, keys: 11 }],
  ["on rows of a longer text", causal(), { queries: 6, keys: 8, qOffset: 25, kvOffset: 20 }],
];

/**
 * What the score hooks of every position must keep: on each kernel, inlined and as a bias tensor, output, log-sum-exp and the
 * gradients of queries, keys, values and all learned tables are those of the float64 reference, with shared key heads and
 * wherever the rows stand. Learned tables are given other numbers first.
 */
export function scoreHookLaws<T extends KernelTensor<T>>(subject: ScoreHooksUnderTest<T>): Law[] {
  const { hooks, heads, kernels, engine, ops, numbers } = subject;
  const tables = new Set(hooks.flatMap(({ program }) => program.captures.filter(({ learned }) => learned)));
  [...tables].forEach((table, n) => { table.set(numbers?.(table) ?? uniform(table.data.length, 500 + n)); });
  const problems = shared.map(([place, mask, sizes]): readonly [string, KernelProblem] => [place, { ...sizes, mask, heads, kvHeads: heads / 2, size: 8, score: hooks }]);
  const names = hooks.map(({ id }) => `'${id}'`).join(", ");
  return kernels.flatMap((kernel) => problems.flatMap(([place, problem], n) => {
    const on = { kernel, engine, ops };
    const inline = lawOf(on, `${names} on '${kernel.name}' equals float64, with every gradient, ${place}`, [problem], async () => { await checkProblem(on, problem, 600 + n); });
    if (n + 1 < problems.length) return [inline];
    const adjust = (inputs: KernelInputs<T>): KernelInputs<T> => ({ ...inputs, bias: subject.bias(inputs), score: [] });
    return [inline, lawOf(on, `${names} as a bias tensor for '${kernel.name}' equals float64, with every gradient, ${place}`, [problem], async () => { await checkProblem(on, problem, 600 + n, { adjust }); })];
  }));
}
