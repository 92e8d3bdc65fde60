import { frequencies } from "../reference.ts";
import type { YarnScaling } from "../scaling.ts";

/** YaRN's temperature as a factor of cosines and sines: 0.1 m ln(s) + 1 (eq. 22, where m is 1). */
const mscaleOf = (factor: number, m: number): number => (factor <= 1 ? 1 : 0.1 * m * Math.log(factor) + 1);

/**
 * YaRN (Peng et al., 2023, arXiv:2309.00071), "NTK by parts": a pair that turns β times over the trained length L has index
 * i(β) = d ln(L / 2πβ) / (2 ln b). Before i(β_fast) pairs keep their frequency, after i(β_slow) it is divided by s, and in between it is
 * a mixture of both that changes linearly with i.
 */
export function yarn(base: number, rotaryDim: number, scaling: YarnScaling, context: number): { readonly theta: Float64Array; readonly attentionFactor: number } {
  const { originalMaxPositionEmbeddings: L = context, betaFast = 32, betaSlow = 1, truncate = true, mscale, mscaleAllDim } = scaling;
  const { factor: s = context / L } = scaling;
  const pairThatTurns = (beta: number): number => (rotaryDim * Math.log(L / (2 * Math.PI * beta))) / (2 * Math.log(base));
  const [first, last] = [pairThatTurns(betaFast), pairThatTurns(betaSlow)];
  const low = Math.max(0, truncate ? Math.floor(first) : first);
  const end = Math.min(rotaryDim - 1, truncate ? Math.ceil(last) : last);
  const high = end === low ? end + 0.001 : end;
  const theta = frequencies(base, rotaryDim).map((plain, i) => {
    const divided = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (plain / s) * divided + plain * (1 - divided);
  });
  // A coefficient of 0 counts as none, as in Hugging Face.
  const ratio = mscale && mscaleAllDim ? mscaleOf(s, mscale) / mscaleOf(s, mscaleAllDim) : mscaleOf(s, 1);
  return { theta, attentionFactor: scaling.attentionFactor ?? ratio };
}
