import { coveringLaws } from "./kernel-laws/covering-laws.ts";
import { edgeLaws } from "./kernel-laws/edge-laws.ts";
import { memoryLaws } from "./kernel-laws/memory-laws.ts";
import { pageLaws } from "./kernel-laws/page-laws.ts";
import { rowLaws } from "./kernel-laws/row-laws.ts";
import type { KernelTensor, KernelUnderTest } from "./kernel-laws/subject.ts";
import type { Law } from "./laws.ts";

export type { KernelEngine, KernelOps, KernelTensor, KernelUnderTest } from "./kernel-laws/subject.ts";

/**
 * What every kernel plugin must keep. Against the float64 reference: output, log-sum-exp and the gradients of all inputs
 * and learned tables, in cases where every two of hooks, masks, dtypes, head counts, head sizes, lengths, biases, padding
 * and offsets meet. Then the laws that need runs of their own: empty rows, parts of a longer problem, memory, edges of
 * the numbers, pages.
 *
 * A problem that the kernel refuses makes a law whose name gives the reasons, so that nothing is left out in silence.
 */
export function kernelLaws<T extends KernelTensor<T>>(subject: KernelUnderTest<T>): Law[] {
  return [rowLaws(subject), memoryLaws(subject), edgeLaws(subject), pageLaws(subject), coveringLaws(subject)].flat();
}
