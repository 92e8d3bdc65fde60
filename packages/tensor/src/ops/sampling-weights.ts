import { TensorError } from "../errors.ts";
import { likeliestOf } from "../kernels/sampling-likeliest.ts";
import { cutNucleusOf } from "../kernels/sampling-nucleus.ts";
import { weightsOf } from "../kernels/sampling-weights.ts";
import { requireF32 } from "../operands.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";
import { rowsOf } from "./sampling.ts";

export interface SamplingWeightsOptions {
  /** Divides the logits; above 0. Default 1. */
  readonly temperature?: number;
  /** How many of the largest logits stay. Default: all. */
  readonly topK?: number;
  /** What stays is the smallest set of the likeliest whose probabilities sum to at least this, above 0 and at most 1. Default 1. */
  readonly topP?: number;
  /** What stays has at least this part of the largest probability, from 0 to 1. Default 0. */
  readonly minP?: number;
}

/** The largest factor that leaves 0 · factor = 0. */
const MOST_COOLNESS = 3e38;

/**
 * Weights for `multinomial` from logits: exp((x − largest) / temperature) where an entry stays, else 0. The cuts follow each other as
 * in Hugging Face's `generate`: temperature, top-k, then top-p (Holtzman et al. 2020, arXiv:1904.09751) of what top-k left, then
 * min-p (Nguyen et al. 2024, arXiv:2407.01082). Equal entries stay or go together, so that more than `topK` may stay; the largest
 * always does. Nothing is sorted: the time does not depend on `topK` or `topP`. No gradient.
 *
 * @param x  [N, V], f32; −∞ is an entry that is never chosen
 * @returns f32 [N, V]; a row with NaN, with +∞ or of −∞ alone is all 0
 * @throws TensorError `TENSOR_VALUE` for options out of range, `TENSOR_SHAPE`, `TENSOR_DTYPE`.
 */
export function samplingWeights(x: Tensor, { temperature = 1, topK, topP = 1, minP = 0 }: SamplingWeightsOptions = {}): Tensor {
  requireF32(x, "samplingWeights");
  const [rows, length] = rowsOf(x, "samplingWeights");
  check("temperature", temperature, temperature > 0, "a number above 0");
  check("topK", topK, topK === undefined || (Number.isInteger(topK) && topK >= 1), "a whole number of at least 1");
  check("topP", topP, topP > 0 && topP <= 1, "a number above 0 and at most 1");
  check("minP", minP, minP >= 0 && minP <= 1, "a number from 0 to 1");
  const nucleus = topP < 1;
  // A part of the largest weight, which top-p never cuts: so min-p may be checked by whoever comes last.
  const cut = { coolness: Math.min(1 / temperature, MOST_COOLNESS), count: topK, least: nucleus ? 0 : minP };
  return x.engine.noGrad(() => x.engine.scope(() => {
    const weights = weightsOf(contiguous(x), rows, length, cut);
    if (nucleus) cutNucleusOf(weights, rows, length, topP, minP);
    return weights;
  }));
}

/**
 * Index of the largest entry of every row of logits [N, V]: u32 [N]; the lowest among equals. As for `samplingWeights`, a row with NaN,
 * with +∞ or of −∞ alone has none, and gives 0xffffffff: `argmax` looks past NaN.
 */
export function likeliest(x: Tensor): Tensor {
  requireF32(x, "likeliest");
  const [rows, length] = rowsOf(x, "likeliest");
  return x.engine.noGrad(() => x.engine.scope(() => likeliestOf(contiguous(x), rows, length)));
}

function check(name: string, value: number | undefined, right: boolean, expected: string): void {
  if (!right) throw new TensorError("TENSOR_VALUE", `${name} is ${value}; expected ${expected}`, "leave it out to cut nothing");
}
