import { frequencies, type RotaryFrequencies } from "../reference.ts";
import type { DynamicScaling } from "../scaling.ts";

/**
 * θᵢ of the base b · f^(d/(d−2)). The exponent makes the last pair's frequency b^(−(d−2)/d) exactly f times smaller, while the first one's
 * stays 1: what turns fast tells near positions apart, and is not squeezed (Peng et al., 2023, arXiv:2309.00071, section 3.1).
 */
export function ntk(base: number, rotaryDim: number, factor: number): Float64Array {
  return frequencies(base * factor ** (rotaryDim / (rotaryDim - 2)), rotaryDim);
}

/**
 * NTK-aware scaling that grows with the sequence: for n tokens of a model trained on L, by f n/L − (f − 1), which is 1 at n = L
 * (section 3.3 of the same paper has n/L; the factor is Hugging Face's).
 */
export function dynamicNtk(base: number, rotaryDim: number, { factor, originalMaxPositionEmbeddings: L, length }: DynamicScaling): RotaryFrequencies {
  const of = (n: number): Float64Array => ntk(base, rotaryDim, factor * (Math.max(n, L) / L) - (factor - 1));
  const fixed = of(length ?? L);
  return { attentionFactor: 1, at: (position) => (length === undefined && position >= L ? of(position + 1) : fixed) };
}
