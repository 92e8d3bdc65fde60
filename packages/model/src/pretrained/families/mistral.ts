import type { Family, HfConfig } from "../family.ts";
import { ConfigReader } from "./config-reader.ts";
import { INVERSE_FREQUENCIES, llamaSizes, llamaSpec, llamaWeights, tiedHead, type LlamaSizes } from "./llama.ts";

function sizes(config: HfConfig): LlamaSizes {
  const read = new ConfigReader(config);
  read.only("attention_bias", [false], "Mistral's projections have no bias");
  read.only("mlp_bias", [false], "Mistral's projections have no bias");
  return llamaSizes(config, { vocab: 32_000, hidden: 14_336, kvHeads: 8, context: 4096 * 32 });
}

/** Tokens that a query sees, itself among them; the config class has 4096 where the key is left out, and null means all. */
function windowOf(config: HfConfig): number | undefined {
  return config["sliding_window"] === null ? undefined : new ConfigReader(config).integer("sliding_window", 4096);
}

/** Mistral 7B (Jiang et al., 2023, arXiv:2310.06825): Llama with a window that each query looks back on. */
export const mistral: Family = {
  name: "mistral",
  modelTypes: ["mistral"],
  prefixes: ["model."],
  ignored: [INVERSE_FREQUENCIES],
  tied: (config) => tiedHead(sizes(config).tied),
  spec(config) {
    const { layers } = sizes(config);
    const window = windowOf(config);
    return { ...llamaSpec(sizes(config)), ...(window !== undefined && { order: `(wf)${layers}`, window }) };
  },
  weights: (_spec, config) => llamaWeights(sizes(config)),
};
