import type { Family, HfConfig } from "../family.ts";
import { PLAIN } from "./activations.ts";
import { ConfigReader } from "./config-reader.ts";
import { MapBuilder } from "./map-builder.ts";

function sizes(config: HfConfig) {
  const read = new ConfigReader(config);
  const width = read.integer(["n_embd", "hidden_size"], 768);
  return {
    read, width,
    vocab: read.integer("vocab_size", 50_257),
    context: read.integer(["n_positions", "max_position_embeddings"], 1024),
    layers: read.integer(["n_layer", "num_hidden_layers"], 12),
    heads: read.integer(["n_head", "num_attention_heads"], 12),
    hidden: read.integer("n_inner", 4 * width),
    tied: read.boolean("tie_word_embeddings", true),
  };
}

/** GPT-2 (Radford et al., 2019): learned positions, layer norms before sublayers, one table of words for both ends. */
export const gpt2: Family = {
  name: "gpt2",
  modelTypes: ["gpt2"],
  prefixes: ["transformer."],
  // Masks, as old files keep them.
  ignored: [/\.attn\.(bias|masked_bias)$/],
  tied: (config) => (sizes(config).tied ? { "lm_head.weight": "transformer.wte.weight" } : {}),
  spec(config) {
    const { read, layers, width, vocab, context, heads, hidden, tied } = sizes(config);
    read.only("scale_attn_by_inverse_layer_idx", [false], "scores are scaled alike in all layers");
    return {
      architecture: "decoder", layers, width, vocab, context,
      attention: { use: "mha", heads, ...(!read.boolean("scale_attn_weights", true) && { scale: 1 }) },
      position: { use: "learned" },
      norm: { use: "layer", epsilon: read.number("layer_norm_epsilon", 1e-5), place: "pre" },
      embedding: { use: tied ? "tied" : "untied" },
      feedForward: { use: read.word("activation_function", PLAIN, "gelu_new"), width: hidden },
    };
  },
  weights(spec, config) {
    const { layers, width, vocab, context, hidden, tied } = sizes(config);
    const map = new MapBuilder();
    map.set("embedding.weight", { tensor: "transformer.wte.weight", shape: [vocab, width] });
    if (!tied) map.set("embedding.head", { tensor: "lm_head.weight", shape: [vocab, width] });
    // A model for shorter texts needs the first positions only.
    const positions = Math.min(context, spec.context);
    map.set("position.learned.table", { tensor: "transformer.wpe.weight", shape: [context, width], ...(positions < context && { rows: Uint32Array.from({ length: positions }, (_, i) => i) }) });
    for (let n = 0; n < layers; n++) {
      const [attention, feedForward, theirs] = [`blocks.${n}.attention`, `blocks.${n}.feedForward`, `transformer.h.${n}`];
      map.norm(`${attention}.norm`, `${theirs}.ln_1`, width, { bias: true });
      map.conv1d(`${attention}.qkv`, `${theirs}.attn.c_attn`, 3 * width, width);
      map.conv1d(`${attention}.out`, `${theirs}.attn.c_proj`, width, width);
      map.norm(`${feedForward}.norm`, `${theirs}.ln_2`, width, { bias: true });
      map.conv1d(`${feedForward}.up`, `${theirs}.mlp.c_fc`, hidden, width);
      map.conv1d(`${feedForward}.down`, `${theirs}.mlp.c_proj`, width, hidden);
    }
    map.norm("norm", "transformer.ln_f", width, { bias: true });
    return map.map;
  },
};
