import type { Law } from "../laws.ts";
import { refusals, type KernelProblem } from "./problem.ts";
import type { KernelTensor, KernelUnderTest } from "./subject.ts";

/** A law about given problems. Where the kernel takes one of them not, the law is that it says why, and its name tells. */
export function lawOf<T extends KernelTensor<T>>({ kernel, engine }: KernelUnderTest<T>, name: string, problems: readonly KernelProblem[], check: () => Promise<void>): Law {
  const why = problems.flatMap((problem) => refusals(kernel, problem, engine.gpu.caps));
  if (why.length === 0) return { name, check };
  return { name: `says why it does not take a problem (${name}): ${[...new Set(why)].join("; ")}`, check: () => Promise.resolve() };
}
