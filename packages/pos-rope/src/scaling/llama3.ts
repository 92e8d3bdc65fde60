import type { Llama3Scaling } from "../scaling.ts";

/**
 * Llama 3.1's frequencies: waves longer than L / lowFreqFactor, which the trained length L hardly saw a turn of, are divided by the factor;
 * those shorter than L / highFreqFactor stay; between the two the share that stays grows linearly with the turns L / λ.
 */
export function llama3(plain: Float64Array, { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings: L }: Llama3Scaling): Float64Array {
  return plain.map((theta) => {
    const turns = (L * theta) / (2 * Math.PI);
    const stays = Math.min(1, Math.max(0, (turns - lowFreqFactor) / (highFreqFactor - lowFreqFactor)));
    return stays * theta + (1 - stays) * (theta / factor);
  });
}
