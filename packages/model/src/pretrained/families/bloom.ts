import type { Family, HfConfig } from "../family.ts";
import { ConfigReader } from "./config-reader.ts";
import { MapBuilder } from "./map-builder.ts";

function sizes(config: HfConfig) {
  const read = new ConfigReader(config);
  return {
    read,
    width: read.integer(["hidden_size", "n_embed"], 64),
    vocab: read.integer("vocab_size", 250_880),
    layers: read.integer(["n_layer", "num_hidden_layers"], 2),
    heads: read.integer(["n_head", "num_attention_heads"], 8),
    tied: read.boolean("tie_word_embeddings", true),
  };
}

/** BLOOM (2022, arXiv:2211.05100): ALiBi, a norm after the embedding, queries, keys and values in one matrix head by head. */
export const bloom: Family = {
  name: "bloom",
  modelTypes: ["bloom"],
  prefixes: ["transformer."],
  tied: (config) => (sizes(config).tied ? { "lm_head.weight": "transformer.word_embeddings.weight" } : {}),
  spec(config) {
    const { read, layers, width, vocab, heads, tied } = sizes(config);
    return {
      architecture: "decoder", layers, width, vocab,
      // Its positions have no end; this is the length that it was trained on, where the config tells.
      context: read.integer("seq_length", 2048),
      attention: { use: "mha", heads },
      position: { use: "alibi" },
      norm: { use: "layer", epsilon: read.number("layer_norm_epsilon", 1e-5), place: "pre", embedding: true, residual: read.boolean("apply_residual_connection_post_layernorm", false) ? "normed" : "stream" },
      embedding: { use: tied ? "tied" : "untied" },
      feedForward: { use: "gelu-tanh", width: 4 * width },
    };
  },
  weights(_spec, config) {
    const { layers, width, vocab, heads, tied } = sizes(config);
    const map = new MapBuilder();
    const bias = { bias: true };
    map.set("embedding.weight", { tensor: "transformer.word_embeddings.weight", shape: [vocab, width] });
    if (!tied) map.set("embedding.head", { tensor: "lm_head.weight", shape: [vocab, width] });
    map.norm("embeddingNorm", "transformer.word_embeddings_layernorm", width, bias);
    for (let n = 0; n < layers; n++) {
      const [attention, feedForward, theirs] = [`blocks.${n}.attention`, `blocks.${n}.feedForward`, `transformer.h.${n}`];
      map.norm(`${attention}.norm`, `${theirs}.input_layernorm`, width, bias);
      map.headByHead(`${attention}.qkv`, `${theirs}.self_attention.query_key_value`, heads, Math.floor(width / heads), width, bias);
      map.linear(`${attention}.out`, [[`${theirs}.self_attention.dense`, width]], width, bias);
      map.norm(`${feedForward}.norm`, `${theirs}.post_attention_layernorm`, width, bias);
      map.linear(`${feedForward}.up`, [[`${theirs}.mlp.dense_h_to_4h`, 4 * width]], width, bias);
      map.linear(`${feedForward}.down`, [[`${theirs}.mlp.dense_4h_to_h`, width]], 4 * width, bias);
    }
    map.norm("norm", "transformer.ln_f", width, bias);
    return map.map;
  },
};
