import type { Family, HfConfig } from "../family.ts";
import { PLAIN } from "./activations.ts";
import { ConfigReader } from "./config-reader.ts";
import { MapBuilder } from "./map-builder.ts";
import { ropeParameters } from "./rope-parameters.ts";

function sizes(config: HfConfig) {
  const read = new ConfigReader(config);
  return {
    read,
    width: read.integer("hidden_size", 6144),
    vocab: read.integer("vocab_size", 50_432),
    context: read.integer("max_position_embeddings", 2048),
    layers: read.integer("num_hidden_layers", 44),
    heads: read.integer("num_attention_heads", 64),
    hidden: read.integer("intermediate_size", 24_576),
    bias: read.boolean("attention_bias", true),
    tied: read.boolean("tie_word_embeddings", false),
  };
}

/** GPT-NeoX (Black et al., 2022, arXiv:2204.06745) and Pythia: a part of each head turns, attention and feed-forward side by side. */
export const gptNeox: Family = {
  name: "gpt_neox",
  modelTypes: ["gpt_neox"],
  prefixes: ["gpt_neox."],
  // Masks and frequencies, as old files keep them.
  ignored: [/\.attention\.(bias|masked_bias)$/, /\.rotary_emb\.inv_freq$/],
  tied: (config) => (sizes(config).tied ? { "embed_out.weight": "gpt_neox.embed_in.weight" } : {}),
  spec(config) {
    const { read, layers, width, vocab, context, heads, hidden, bias, tied } = sizes(config);
    const { position, fraction } = ropeParameters(read, { context, baseKey: "rotary_emb_base" });
    return {
      architecture: "decoder", layers, width, vocab, context,
      order: read.boolean("use_parallel_residual", true) ? "parallel" : "interleaved",
      attention: { use: "mha", heads, bias },
      position: { ...position, rotaryDim: Math.floor(Math.floor(width / heads) * (fraction ?? read.number("rotary_pct", 0.25))) },
      norm: { use: "layer", epsilon: read.number("layer_norm_eps", 1e-5), place: "pre" },
      embedding: { use: tied ? "tied" : "untied" },
      feedForward: { use: read.word("hidden_act", PLAIN, "gelu"), width: hidden },
    };
  },
  weights(_spec, config) {
    const { layers, width, vocab, heads, hidden, bias, tied } = sizes(config);
    const map = new MapBuilder();
    const both = { bias: true };
    map.set("embedding.weight", { tensor: "gpt_neox.embed_in.weight", shape: [vocab, width] });
    if (!tied) map.set("embedding.head", { tensor: "embed_out.weight", shape: [vocab, width] });
    for (let n = 0; n < layers; n++) {
      const [attention, feedForward, theirs] = [`blocks.${n}.attention`, `blocks.${n}.feedForward`, `gpt_neox.layers.${n}`];
      map.norm(`${attention}.norm`, `${theirs}.input_layernorm`, width, both);
      map.headByHead(`${attention}.qkv`, `${theirs}.attention.query_key_value`, heads, Math.floor(width / heads), width, { bias });
      map.linear(`${attention}.out`, [[`${theirs}.attention.dense`, width]], width, { bias });
      map.norm(`${feedForward}.norm`, `${theirs}.post_attention_layernorm`, width, both);
      map.linear(`${feedForward}.up`, [[`${theirs}.mlp.dense_h_to_4h`, hidden]], width, both);
      map.linear(`${feedForward}.down`, [[`${theirs}.mlp.dense_4h_to_h`, width]], hidden, both);
    }
    map.norm("norm", "gpt_neox.final_layer_norm", width, both);
    return map.map;
  },
};
