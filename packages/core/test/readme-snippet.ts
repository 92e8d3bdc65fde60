import { causal, createLab, custom, document, and, maskMod, referenceAttention, array64, scoreHook, scoreMod, type Plan } from "@polyhead/core";
import { caps, kernel } from "./fixtures.ts";

/* eslint-disable no-console -- a README prints */
/** The README's snippet; its test holds the two together. */
export function snippet(): { readonly plan: Plan; readonly o: Float64Array } {
  // README begins
  const softcap = scoreHook({ id: "softcap", program: scoreMod`30.0 * tanh(score / 30.0)` });
  const near = custom(maskMod`q - kv < 128`);
  const mask = and(causal(), near, document(Int32Array.of(0, 0, 1, 1)));

  const q = array64([1, 0, 0, 1, 1, 1, 0, 0], [1, 1, 4, 2]); // [batch, heads, rows, features]
  const { o, lse, stages } = referenceAttention({ q, k: q, v: q, mask, score: [softcap] });

  const lab = createLab(kernel("reference"));
  const problem = { heads: 1, kvHeads: 1, headDimQK: 2, headDimV: 2, dtype: "f32", mask, qk: [], score: [softcap], backward: true, cache: "none", dropout: false, padded: false } as const;
  const plan = lab.plan(problem, caps);
  console.log(plan.explain(), lse.data, stages.masked.data);
  // README ends
  return { plan, o: o.data };
}
