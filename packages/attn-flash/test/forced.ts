import { defineKernelPlugin, type KernelPlugin } from "@polyhead/core";
import type { Gpu } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";
import { flashAttention, type FlashTemplate } from "../src/kernel.ts";
import { flash } from "../src/index.ts";
import { refusal } from "../src/limits.ts";
import { inFours } from "../src/operands.ts";

/** Flash with one template for every pass, and a reason where a device or a head size does not allow that one. */
export function forced(template: FlashTemplate, { caps }: Gpu): KernelPlugin<"flash", Tensor> {
  const forward = { template, splits: 1, packed: false };
  return defineKernelPlugin({
    ...flash,
    unsupported: (problem, given) => {
      const { heads, kvHeads, headDimQK, headDimV } = problem;
      // Many rows, so that a template is never turned down for being idle.
      const shape = { batch: 1, heads, kvHeads, queries: 4096, keys: 4096, d: inFours(headDimQK), dv: inFours(headDimV), half: false, hooked: true };
      const why = (["forward", "dq", "dkv"] as const).flatMap((pass) => refusal(template, shape, caps, pass) ?? []);
      return [...flash.unsupported(problem, given), ...new Set(why)];
    },
    run: (inputs) => flashAttention(inputs, { templates: { forward, dq: { template }, dkv: { template } } }),
  });
}
