import type { Plan } from "./contracts/plan.ts";
import { describe } from "./masks.ts";

const milliseconds = (ms: number): string => `${ms.toPrecision(3)} ms`;

const plural = (n: number, noun: string): string => `${String(n)} ${noun}${n === 1 ? "" : "s"}`;

/** Why the chosen kernel is the one. */
function reason({ ms, others, refused }: Omit<Plan, "explain">): string {
  if (others.length === 0) return refused.length === 0 ? "the only kernel there is" : "the only kernel that can";
  if (ms !== undefined && others.every((other) => other.ms !== undefined)) return `measured ${milliseconds(ms)} on this adapter, the fastest`;
  return "first by preference, since not all candidates were measured on this adapter";
}

/** A plan in plain words: the kernel and why, the problem, the lowering of each hook, and why not the others. */
export function explainPlan(plan: Omit<Plan, "explain">, notes: readonly string[] = []): string {
  const { kernel, how, others, refused, problem } = plan;
  const { heads, kvHeads, headDimQK, headDimV, dtype, mask, backward } = problem;
  const size = headDimQK === headDimV ? String(headDimQK) : `${String(headDimQK)}/${String(headDimV)}`;
  const lines = [
    `kernel '${kernel.name}': ${reason(plan)}`,
    `  problem: ${plural(heads, "head")}, ${plural(kvHeads, "key head")}, head size ${size}, ${dtype}, mask ${describe(mask)}, ${backward ? "with gradients" : "forward only"}`,
  ];
  for (const hook of [...problem.qk, ...problem.score]) lines.push(`  hook '${hook.id}' at '${hook.site}': ${how[hook.id] ?? ""}`);
  if (problem.cache === "paged") lines.push(`  cache: pages, ${kernel.paged === true ? "which the kernel reads where they lie" : "gathered into rows at every step, since the kernel takes none"}`);
  for (const note of notes) lines.push(`  ${note}`);
  for (const other of others) lines.push(`  not '${other.kernel}': it can, ${other.ms === undefined ? "but was not measured" : `in ${milliseconds(other.ms)}`}`);
  for (const { kernel: name, why } of refused) lines.push(`  not '${name}': ${why.join("; ")}`);
  return lines.join("\n");
}
