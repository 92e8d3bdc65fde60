import type { RotaryFrequencies } from "../reference.ts";
import type { LongRopeScaling } from "../scaling.ts";

/** LongRoPE (Ding et al., 2024, arXiv:2402.13753): θᵢ / λᵢ, with one list of λ within the trained length and another beyond it. */
export function longrope(plain: Float64Array, scaling: LongRopeScaling, context: number): RotaryFrequencies {
  const { shortFactor, longFactor, originalMaxPositionEmbeddings: L, length, factor = context / L } = scaling;
  const [short, long] = [plain.map((theta, i) => theta / shortFactor[i]!), plain.map((theta, i) => theta / longFactor[i]!)];
  const attentionFactor = scaling.attentionFactor ?? (factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(L)));
  return { attentionFactor, at: (position) => ((length ?? position + 1) > L ? long : short) };
}
