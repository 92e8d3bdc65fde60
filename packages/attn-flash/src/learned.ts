import type { Mask, ScoreHook } from "@polyhead/core";
import { scoreProgram } from "@polyhead/attn-mha/kernel";

/** The hooks learn a table, and the gradient of an entry depends on the raw score: fused kernels keep none. */
export function learnsFromScores(mask: Mask, hooks: readonly ScoreHook[]): boolean {
  if (!hooks.some(({ learned }) => learned)) return false;
  const { sites, keepsScores } = scoreProgram(mask, hooks);
  return keepsScores && sites.some(({ capture }) => capture.learned);
}
