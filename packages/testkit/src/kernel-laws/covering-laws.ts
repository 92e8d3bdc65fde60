import { coveringRows } from "../covering.ts";
import type { Law } from "../laws.ts";
import { costOfRow, KERNEL_AXES, problemOfRow } from "./axes.ts";
import { lawOf } from "./law.ts";
import { describeProblem } from "./problem.ts";
import { checkProblem } from "./run.ts";
import type { KernelTensor, KernelUnderTest } from "./subject.ts";

/** Outputs, log-sum-exp and every gradient against the float64 reference, in a covering selection of cases. */
export function coveringLaws<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law[] {
  const { seed = 1, cover = "pairs" } = subject;
  const rows = coveringRows(KERNEL_AXES, { seed, cost: costOfRow, together: cover === "once" ? 1 : 2 });
  return rows.map((row, n) => {
    const problem = problemOfRow(row);
    const name = `equals float64 attention, with every gradient (seed ${seed}, case ${n + 1} of ${rows.length}): ${describeProblem(problem)}`;
    return lawOf(subject, name, [problem], async () => { await checkProblem(subject, problem, seed + n); });
  });
}
