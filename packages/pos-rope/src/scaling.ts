import { frequencies, type RotaryFrequencies } from "./reference.ts";
import { llama3 } from "./scaling/llama3.ts";
import { longrope } from "./scaling/longrope.ts";
import { dynamicNtk, ntk } from "./scaling/ntk.ts";
import { yarn } from "./scaling/yarn.ts";

/**
 * How frequencies are changed so that a model reads further than it was trained to. Names and defaults are those of Hugging Face's
 * `rope_scaling` (`rope_parameters`), in camel case; `originalMaxPositionEmbeddings` is the length that the model was trained on, and
 * the model's `context` is Hugging Face's `max_position_embeddings`.
 */
export type RopeScaling =
  | { readonly ropeType: "default" }
  /** Position interpolation (Chen et al., 2023, arXiv:2306.15595): all frequencies divided by `factor`. */
  | { readonly ropeType: "linear"; readonly factor: number }
  /** NTK-aware scaling: a larger base, by which the slowest frequency alone is divided by `factor`. */
  | { readonly ropeType: "ntk"; readonly factor: number }
  | DynamicScaling
  | YarnScaling
  | Llama3Scaling
  | LongRopeScaling;

/** NTK-aware scaling by as much as the sequence is longer than the trained length. */
export interface DynamicScaling {
  readonly ropeType: "dynamic";
  readonly factor: number;
  readonly originalMaxPositionEmbeddings: number;
  /** The sequence length to choose frequencies for. Default: each position's own, as for a sequence that ends with it. */
  readonly length?: number;
}

/** YaRN (Peng et al., 2023, arXiv:2309.00071). */
export interface YarnScaling {
  readonly ropeType: "yarn";
  /** Default context / originalMaxPositionEmbeddings. */
  readonly factor?: number;
  /** Default the context. */
  readonly originalMaxPositionEmbeddings?: number;
  /** Multiplies cosines and sines. Default 0.1 ln(factor) + 1, or what `mscale` and `mscaleAllDim` give. */
  readonly attentionFactor?: number;
  /** Pairs that turn more often than this over the trained length stay as they are. Default 32. */
  readonly betaFast?: number;
  /** Pairs that turn less often than this are divided by `factor`. Default 1. */
  readonly betaSlow?: number;
  /** DeepSeek's two coefficients: the attention factor is (0.1 · mscale · ln(factor) + 1) over the same of `mscaleAllDim`. */
  readonly mscale?: number;
  readonly mscaleAllDim?: number;
  /** Round the ends of the ramp to whole pairs. Default true. */
  readonly truncate?: boolean;
}

/** Llama 3.1's: by wavelength, with a smooth passage. */
export interface Llama3Scaling {
  readonly ropeType: "llama3";
  readonly factor: number;
  readonly lowFreqFactor: number;
  readonly highFreqFactor: number;
  readonly originalMaxPositionEmbeddings: number;
}

/** LongRoPE (Ding et al., 2024, arXiv:2402.13753): a divisor for each pair, found by search, within and beyond the trained length. */
export interface LongRopeScaling {
  readonly ropeType: "longrope";
  /** One number a pair: for sequences within the trained length, and for longer ones. */
  readonly shortFactor: readonly number[];
  readonly longFactor: readonly number[];
  readonly originalMaxPositionEmbeddings: number;
  /** For the attention factor alone. Default context / originalMaxPositionEmbeddings. */
  readonly factor?: number;
  /** Multiplies cosines and sines. Default √(1 + ln(factor) / ln(originalMaxPositionEmbeddings)), 1 for a factor up to 1. */
  readonly attentionFactor?: number;
  /** As for `dynamic`. */
  readonly length?: number;
}

/** What frequencies are made from. */
export interface FrequencyOptions {
  readonly base: number;
  readonly rotaryDim: number;
  readonly scaling?: RopeScaling | undefined;
  /** The longest sequence, where `scaling` refers to it. */
  readonly context?: number | undefined;
}

/** The frequencies θᵢ and the attention factor under a scaling. */
export function ropeFrequencies({ base, rotaryDim, scaling = { ropeType: "default" }, context = NaN }: FrequencyOptions): RotaryFrequencies {
  const plain = frequencies(base, rotaryDim);
  const fixed = (theta: Float64Array, attentionFactor = 1): RotaryFrequencies => ({ attentionFactor, at: () => theta });
  switch (scaling.ropeType) {
    case "default":
      return fixed(plain);
    case "linear":
      return fixed(plain.map((theta) => theta / scaling.factor));
    case "ntk":
      return fixed(ntk(base, rotaryDim, scaling.factor));
    case "dynamic":
      return dynamicNtk(base, rotaryDim, scaling);
    case "yarn": {
      const { theta, attentionFactor } = yarn(base, rotaryDim, scaling, context);
      return fixed(theta, attentionFactor);
    }
    case "llama3":
      return fixed(llama3(plain, scaling));
    case "longrope":
      return longrope(plain, scaling, context);
  }
}
