import type { Family, HfConfig } from "../family.ts";
import { ConfigReader } from "./config-reader.ts";
import { MapBuilder } from "./map-builder.ts";

function sizes(config: HfConfig) {
  const read = new ConfigReader(config);
  const width = read.integer(["d_model", "hidden_size"], 2048);
  return {
    read, width,
    vocab: read.integer("vocab_size", 50_368),
    context: read.integer(["max_seq_len", "max_position_embeddings"], 2048),
    layers: read.integer(["n_layers", "num_hidden_layers"], 24),
    heads: read.integer(["n_heads", "num_attention_heads"], 16),
    // transformers builds four times the width whatever expansion_ratio says, and files are as it builds them.
    hidden: 4 * width,
    tied: read.boolean("tie_word_embeddings", true),
  };
}

/**
 * What MosaicML's own code computes and transformers passes over in silence: a model that was trained with it would come out wrong.
 *
 * @returns the scale of scores, where the config has one
 */
function checkAttention(read: ConfigReader): number | undefined {
  const attention = read.group("attn_config");
  const elsewhere = "transformers computes nothing else";
  attention.only("attn_type", ["multihead_attention"], "queries, keys and values of as many heads");
  attention.only("alibi", [true], elsewhere);
  attention.only("alibi_bias_max", [8], elsewhere);
  attention.only("prefix_lm", [false], elsewhere);
  attention.only("qk_ln", [false], elsewhere);
  attention.absent("clip_qkv", "queries, keys and values are not clipped");
  read.absent("logit_scale", elsewhere);
  read.only("norm_type", ["low_precision_layernorm", "layernorm"], elsewhere);
  return attention.optionalNumber("softmax_scale");
}

/** MPT (MosaicML, 2023): ALiBi, layer norms and linear maps without biases, one table of words for both ends. */
export const mpt: Family = {
  name: "mpt",
  modelTypes: ["mpt"],
  prefixes: ["transformer."],
  tied: (config) => (sizes(config).tied ? { "lm_head.weight": "transformer.wte.weight" } : {}),
  spec(config) {
    const { read, layers, width, vocab, context, heads, hidden, tied } = sizes(config);
    const scale = checkAttention(read);
    return {
      architecture: "decoder", layers, width, vocab, context,
      attention: { use: "mha", heads, bias: false, ...(scale !== undefined && { scale }) },
      position: { use: "alibi" },
      norm: { use: "layer", epsilon: read.number("layer_norm_epsilon", 1e-5), bias: false, place: "pre" },
      embedding: { use: tied ? "tied" : "untied" },
      feedForward: { use: "gelu", width: hidden, bias: false },
    };
  },
  weights(_spec, config) {
    const { layers, width, vocab, hidden, tied } = sizes(config);
    const map = new MapBuilder();
    map.set("embedding.weight", { tensor: "transformer.wte.weight", shape: [vocab, width] });
    if (!tied) map.set("embedding.head", { tensor: "lm_head.weight", shape: [vocab, width] });
    for (let n = 0; n < layers; n++) {
      const [attention, feedForward, theirs] = [`blocks.${n}.attention`, `blocks.${n}.feedForward`, `transformer.blocks.${n}`];
      map.norm(`${attention}.norm`, `${theirs}.norm_1`, width);
      map.linear(`${attention}.qkv`, [[`${theirs}.attn.Wqkv`, 3 * width]], width);
      map.linear(`${attention}.out`, [[`${theirs}.attn.out_proj`, width]], width);
      map.norm(`${feedForward}.norm`, `${theirs}.norm_2`, width);
      map.linear(`${feedForward}.up`, [[`${theirs}.ffn.up_proj`, hidden]], width);
      map.linear(`${feedForward}.down`, [[`${theirs}.ffn.down_proj`, width]], hidden);
    }
    map.norm("norm", "transformer.norm_f", width);
    return map.map;
  },
};
