import { defineKernelPlugin, type Caps, type KernelPlugin, type LoweredProblem } from "@polyhead/core";
import { deviceOf, type Gpu } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";
import { reasons, type FlashReason } from "./choose.ts";
import { flashAttention } from "./flash-attention.ts";
import { inFours } from "./operands.ts";
import { isHooked, type FlashShape } from "./shape.ts";

/** Fused attention: first in line wherever it can. */
export const flash: KernelPlugin<"flash", Tensor> = defineKernelPlugin({
  name: "flash",
  preference: 100,
  paged: true,
  // Qk hooks are applied once to each row beforehand: inlined, a key is turned again for every tile of queries.
  lower: (hook) => (hook.site === "score" ? "inline" : "prepass"),
  unsupported: ({ dropout }) => (dropout ? ["attention dropout is on, which the unfused kernel alone applies"] : []),
  cost: (problem, caps) => {
    const passes = reasonsFor(problem, caps);
    const needed = problem.backward ? passes : passes.slice(0, 1);
    return needed.length > 0 && needed.every(({ ms }) => ms !== undefined) ? needed.reduce((sum, { ms = 0 }) => sum + ms, 0) : undefined;
  },
  notes: (problem, caps) => reasonsFor(problem, caps).slice(0, problem.backward ? 3 : 1).map(sentence),
  run: (inputs) => flashAttention(inputs),
});

/** Known once the problem has sizes and the capabilities are those of an open device. */
function reasonsFor(problem: LoweredProblem, caps: Caps): FlashReason[] {
  const { sizes, heads, kvHeads, headDimQK, headDimV, dtype } = problem;
  const gpu: Gpu | undefined = deviceOf(caps);
  if (sizes === undefined || gpu === undefined) return [];
  const shape: FlashShape = { ...sizes, heads, kvHeads, d: inFours(headDimQK), dv: inFours(headDimV), half: dtype === "f16", hooked: isHooked(problem) };
  return reasons(gpu, shape);
}

function sentence({ pass, choice, source, ms, timings, shape }: FlashReason): string {
  const [, second] = timings;
  const beside = second === undefined ? "" : `, then '${second.candidate}' in ${second.ms.toPrecision(3)} ms`;
  return `${pass}: template '${choice}' for ${shape}, ${ms === undefined ? "from the shipped table" : `${source === "measured" ? "measured" : "measured earlier:"} ${ms.toPrecision(3)} ms${beside}`}`;
}
