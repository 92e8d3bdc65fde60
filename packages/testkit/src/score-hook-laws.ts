import { causal, type Capture, type KernelInputs, type KernelPlugin, type Mask, type ScoreHook } from "@polyhead/core";
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
  /** Default causal; `full` for hooks that also tell keys after the query apart. */
  readonly mask?: Mask;
  /** Numbers for a learned table, which often starts where it does nothing. Default: random ones in [−1, 1). */
  readonly numbers?: (table: Capture) => ArrayLike<number> | undefined;
}

/** One mask and few sizes: each kernel that a hook is compiled into takes seconds on a software adapter. */
const PLACES: readonly (readonly [string, Pick<KernelProblem, "batch" | "queries" | "keys" | "qOffset" | "kvOffset">])[] = [
  ["from the start", { batch: 2, queries: 9, keys: 9 }],
  ["on rows of a longer text", { queries: 6, keys: 8, qOffset: 25, kvOffset: 20 }],
];

/**
 * What the score hooks of every position must keep: on each kernel, inlined and as a bias tensor, output, log-sum-exp and the
 * gradients of queries, keys, values and all learned tables are those of the float64 reference, with shared key heads and
 * wherever the rows stand. Learned tables are given other numbers first.
 */
export function scoreHookLaws<T extends KernelTensor<T>>(subject: ScoreHooksUnderTest<T>): Law[] {
  const { hooks, heads, kernels, engine, ops, numbers, mask = causal() } = subject;
  const tables = new Set(hooks.flatMap(({ program }) => program.captures.filter(({ learned }) => learned)));
  [...tables].forEach((table, n) => { table.set(numbers?.(table) ?? uniform(table.data.length, 500 + n)); });
  const problems = PLACES.map(([place, sizes]): readonly [string, KernelProblem] => [place, { ...sizes, mask, heads, kvHeads: heads / 2, size: 8, score: hooks }]);
  const names = hooks.map(({ id }) => `'${id}'`).join(", ");
  return kernels.flatMap((kernel) => problems.flatMap(([place, problem], n) => {
    const on = { kernel, engine, ops };
    const inline = lawOf(on, `${names} on '${kernel.name}' equals float64, with every gradient, ${place}`, [problem], async () => { await checkProblem(on, problem, 600 + n); });
    if (n + 1 < problems.length) return [inline];
    const adjust = (inputs: KernelInputs<T>): KernelInputs<T> => ({ ...inputs, bias: subject.bias(inputs), score: [] });
    return [inline, lawOf(on, `${names} as a bias tensor for '${kernel.name}' equals float64, with every gradient, ${place}`, [problem], async () => { await checkProblem(on, problem, 600 + n, { adjust }); })];
  }));
}
