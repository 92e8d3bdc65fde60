import type { KernelInputs } from "@polyhead/core";
import { pairwiseGradient, type Tensor } from "@polyhead/tensor";

/** From the gradient of a row as an inlined qk hook left it back to the row itself. */
export function pullBack(gradient: Tensor, side: "q" | "k", { qk, qOffset, kvOffset }: KernelInputs<Tensor>, x: Tensor): Tensor {
  const [bound] = qk;
  if (bound === undefined || (bound.hook.applies !== "both" && bound.hook.applies !== side)) return gradient;
  const { hook, params } = bound;
  return pairwiseGradient(gradient, x, hook.program, { layout: hook.layout, rotaryDim: hook.rotaryDim, positions: { offset: side === "q" ? qOffset : kvOffset }, captures: params });
}
