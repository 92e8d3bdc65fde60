import type { QkHook, ScoreHook } from "./contracts/hooks.ts";
import type { KernelPlugin } from "./contracts/kernel.ts";
import type { Plan, Refusal } from "./contracts/plan.ts";
import type { Caps, LoweredProblem, Lowering, Problem } from "./contracts/problem.ts";
import { PolyheadError } from "./errors.ts";
import { explainPlan } from "./explain.ts";

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- kernels of any tensor type are planned alike
type AnyKernel = KernelPlugin<string, any>;

interface Candidate {
  readonly kernel: AnyKernel;
  readonly problem: LoweredProblem;
  readonly ms: number | undefined;
}

/**
 * Qk hooks act in order, so nothing may stay inline before one that is a prepass: a kernel runs after every prepass.
 * Row hooks have operators of their own and are always a prepass.
 */
function lowerQk(hooks: readonly QkHook[], wish: (hook: QkHook) => Lowering, how: Record<string, Lowering>): void {
  let prepass = false;
  for (const hook of [...hooks].reverse()) {
    prepass ||= hook.form === "row" || wish(hook) !== "inline";
    how[hook.id] = prepass ? "prepass" : "inline";
  }
}

/** A bias tensor is added before every inlined hook: right only for a sum that no non-additive hook precedes. */
function lowerScore(hooks: readonly ScoreHook[], wish: (hook: ScoreHook) => Lowering, how: Record<string, Lowering>): string[] {
  const why: string[] = [];
  let bent: string | undefined;
  for (const hook of hooks) {
    const lowering = wish(hook) === "inline" ? "inline" : "tensor";
    how[hook.id] = lowering;
    if (lowering === "tensor" && !hook.additive) why.push(`score hook '${hook.id}' is not additive, so it cannot become a bias tensor`);
    else if (lowering === "tensor" && bent !== undefined) why.push(`score hook '${hook.id}' follows '${bent}', which is not additive, so it cannot become a bias tensor`);
    if (!hook.additive) bent ??= hook.id;
  }
  return why;
}

function consider(kernel: AnyKernel, problem: Problem, caps: Caps): Candidate | Refusal {
  const how: Record<string, Lowering> = {};
  const wish = (hook: QkHook | ScoreHook) => kernel.lower(hook, problem);
  lowerQk(problem.qk, wish, how);
  const stuck = lowerScore(problem.score, wish, how);
  // Pages are gathered into rows for those who do not take them.
  const cache = problem.cache === "paged" && kernel.paged !== true ? "dense" : problem.cache;
  const lowered: LoweredProblem = Object.freeze({ ...problem, cache, how: Object.freeze(how) });
  const why = [...stuck, ...kernel.unsupported(lowered, caps)];
  if (why.length > 0) return { kernel: kernel.name, why };
  return { kernel, problem: lowered, ms: kernel.cost?.(lowered, caps) };
}

function checkProblem(problem: Problem): void {
  const { heads, kvHeads } = problem;
  if (!(heads >= 1 && kvHeads >= 1 && heads % kvHeads === 0)) {
    throw new PolyheadError(
      "PLAN_HEADS",
      `${String(heads)} query heads cannot share ${String(kvHeads)} key heads; expected a whole number of query heads a key head`,
      "choose kvHeads among the divisors of heads",
    );
  }
  const ids = [...problem.qk, ...problem.score].map((hook) => hook.id);
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) {
    throw new PolyheadError("PLAN_HOOK_ID", `two hooks are called '${twice}'; expected unique ids`, "give one of them another id");
  }
}

/**
 * Chooses the kernel of a problem. Every kernel is asked; those that can are ordered by measured milliseconds if all
 * of them were measured on this adapter, and by their preference otherwise. Nothing falls back silently: the plan
 * names every kernel that was turned down, with its reasons.
 * @throws PolyheadError PLAN_HEADS, PLAN_HOOK_ID (an ill-formed problem); PLAN_NO_KERNEL (nobody can).
 */
export function plan(problem: Problem, kernels: readonly AnyKernel[], caps: Caps): Plan {
  checkProblem(problem);
  const refused: Refusal[] = [];
  const candidates: Candidate[] = [];
  for (const kernel of [...kernels].sort((a, b) => a.preference - b.preference)) {
    const verdict = consider(kernel, problem, caps);
    if ("why" in verdict) refused.push(Object.freeze(verdict));
    else candidates.push(verdict);
  }
  if (candidates.every(({ ms }) => ms !== undefined)) candidates.sort((a, b) => (a.ms ?? 0) - (b.ms ?? 0));
  const [chosen, ...others] = candidates;
  if (chosen === undefined) {
    throw new PolyheadError(
      "PLAN_NO_KERNEL",
      kernels.length === 0 ? "no kernel was given; expected at least one" : `no kernel can compute this:\n${refused.map(({ kernel, why }) => `  ${kernel}: ${why.join("; ")}`).join("\n")}`,
      "give createLab a kernel that accepts everything, such as the reference kernel",
    );
  }
  const facts = {
    kernel: chosen.kernel,
    how: chosen.problem.how,
    ms: chosen.ms,
    others: others.map(({ kernel, ms }) => Object.freeze({ kernel: kernel.name, ms })),
    refused,
    problem,
  };
  return Object.freeze({ ...facts, explain: () => explainPlan(facts, chosen.kernel.notes?.(chosen.problem, caps) ?? []) });
}
