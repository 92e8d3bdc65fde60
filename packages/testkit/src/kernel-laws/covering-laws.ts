import { coveringRows, type Axes } from "../covering.ts";
import type { Law } from "../laws.ts";
import { costOfRow, KERNEL_AXES, problemOfRow } from "./axes.ts";
import { lawOf } from "./law.ts";
import { describeProblem, refusals } from "./problem.ts";
import { checkProblem } from "./run.ts";
import type { KernelTensor, KernelUnderTest } from "./subject.ts";

/** Outputs, log-sum-exp and every gradient against the float64 reference, in a covering selection of cases. */
export function coveringLaws<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law[] {
  const { seed = 1, cover = "pairs" } = subject;
  const { axes, refused } = takenAxes(subject);
  const rows = coveringRows(axes, { seed, cost: costOfRow, together: cover === "once" ? 1 : 2 });
  const cases = rows.map((row, n) => {
    const problem = problemOfRow(row);
    const name = `equals float64 attention, with every gradient (seed ${seed}, case ${n + 1} of ${rows.length}): ${describeProblem(problem)}`;
    return lawOf(subject, name, [problem], async () => { await checkProblem(subject, problem, seed + n); });
  });
  return [...refused, ...cases];
}

/**
 * The axes without the values that the kernel never takes, each of which is a law instead: in a case it would take the
 * place of all that it meets there.
 */
function takenAxes<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): { readonly axes: Axes; readonly refused: readonly Law[] } {
  const plain = Object.fromEntries(Object.entries(KERNEL_AXES).map(([axis, values]) => [axis, values[0]!]));
  const refused: Law[] = [];
  const axes = Object.fromEntries(Object.entries(KERNEL_AXES).map(([axis, values]) => [axis, values.filter((value) => {
    const problem = problemOfRow({ ...plain, [axis]: value });
    const taken = refusals(subject.kernel, problem, subject.engine.gpu.caps).length === 0;
    if (!taken) refused.push(lawOf(subject, `equals float64 attention: ${axis} '${value}'`, [problem], () => Promise.resolve()));
    return taken;
  })]));
  return { axes, refused };
}
