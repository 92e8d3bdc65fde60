import type { Family, HfConfig } from "../family.ts";
import { GATED, PLAIN } from "./activations.ts";
import { ConfigReader } from "./config-reader.ts";
import { MapBuilder } from "./map-builder.ts";

interface Projection {
  readonly gated: boolean;
  readonly name: string;
}

/** Meanings of `feed_forward_proj`: an activation, or `gated-` and one; 'gated-gelu' has always been the tanh form. */
const PROJECTIONS: Readonly<Record<string, Projection>> = {
  ...Object.fromEntries(Object.keys(PLAIN).map((name) => [name, { gated: false, name }])),
  ...Object.fromEntries(Object.keys(GATED).map((name) => [`gated-${name}`, { gated: true, name: name === "gelu" ? "gelu_new" : name }])),
};

function activation(read: ConfigReader): { readonly gated: boolean; readonly use: string } {
  const { gated, name } = read.word("feed_forward_proj", PROJECTIONS, "relu");
  return { gated, use: read.word("dense_act_fn", gated ? GATED : PLAIN, name) };
}

function sizes(config: HfConfig) {
  const read = new ConfigReader(config);
  const layers = read.integer(["num_layers", "num_hidden_layers"], 6);
  return {
    read, layers,
    width: read.integer(["d_model", "hidden_size"], 512),
    vocab: read.integer("vocab_size", 32_128),
    decoderLayers: read.integer("num_decoder_layers", layers),
    heads: read.integer(["num_heads", "num_attention_heads"], 8),
    headDim: read.integer(["d_kv", "head_dim"], 64),
    hidden: read.integer("d_ff", 2048),
    buckets: read.integer("relative_attention_num_buckets", 32),
    tied: read.boolean("tie_word_embeddings", true),
    ...activation(read),
  };
}

type Sizes = ReturnType<typeof sizes>;

/** Sublayer `place` of a block: its norm, and what `more` adds. */
const sublayer = (stack: string, block: number, place: number): string => `${stack}.block.${block}.layer.${place}`;

function attention(map: MapBuilder, ours: string, theirs: string, name: string, { width, heads, headDim }: Sizes): void {
  const inner = heads * headDim;
  map.norm(`${ours}.norm`, `${theirs}.layer_norm`, width);
  map.linear(`${ours}.qkv`, ["q", "k", "v"].map((part) => [`${theirs}.${name}.${part}`, inner]), width);
  map.linear(`${ours}.out`, [[`${theirs}.${name}.o`, width]], inner);
}

function feedForward(map: MapBuilder, ours: string, theirs: string, { width, hidden, gated }: Sizes): void {
  const inner = `${theirs}.DenseReluDense`;
  map.norm(`${ours}.norm`, `${theirs}.layer_norm`, width);
  map.linear(`${ours}.up`, (gated ? ["wi_0", "wi_1"] : ["wi"]).map((name) => [`${inner}.${name}`, hidden]), width);
  map.linear(`${ours}.down`, [[`${inner}.wo`, width]], hidden);
}

/** One stack: its position table lies with the first block and serves them all. */
function stack(map: MapBuilder, prefix: string, theirs: "encoder" | "decoder", layers: number, all: Sizes): void {
  const cross = theirs === "decoder";
  map.set(`${prefix}position.t5.table`, { tensor: `${sublayer(theirs, 0, 0)}.SelfAttention.relative_attention_bias.weight`, shape: [all.buckets, all.heads] });
  for (let n = 0; n < layers; n++) {
    attention(map, `${prefix}blocks.${n}.attention`, sublayer(theirs, n, 0), "SelfAttention", all);
    if (cross) attention(map, `${prefix}blocks.${n}.cross`, sublayer(theirs, n, 1), "EncDecAttention", all);
    feedForward(map, `${prefix}blocks.${n}.feedForward`, sublayer(theirs, n, cross ? 2 : 1), all);
  }
  map.norm(`${prefix}norm`, `${theirs}.final_layer_norm`, all.width);
}

/**
 * T5 (Raffel et al., 2020, arXiv:1910.10683) and its 1.1: an encoder and a decoder, biases by buckets of distance, scores that are not
 * scaled. Where one table serves both ends, logits are divided by √width.
 */
export const t5: Family = {
  name: "t5",
  modelTypes: ["t5"],
  prefixes: [],
  // Cross-attention never had positions; early files hold a table for it all the same.
  ignored: [/^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/],
  tied: (config) => ({
    "encoder.embed_tokens.weight": "shared.weight",
    "decoder.embed_tokens.weight": "shared.weight",
    ...(sizes(config).tied && { "lm_head.weight": "shared.weight" }),
  }),
  spec(config) {
    const { read, layers, decoderLayers, width, vocab, heads, headDim, hidden, buckets, use, tied } = sizes(config);
    return {
      architecture: "encoder-decoder", layers: decoderLayers, width, vocab,
      // Its positions have no end; this is the length that it was trained on, where the config tells.
      context: read.integer("n_positions", 512),
      encoder: { layers },
      start: read.integer(["decoder_start_token_id", "pad_token_id"], 0, 0),
      attention: { use: "mha", heads, headDim, bias: false, scale: 1 },
      position: { use: "t5", buckets, maxDistance: read.integer("relative_attention_max_distance", 128) },
      norm: { use: "rms", epsilon: read.number("layer_norm_epsilon", 1e-6), place: "pre" },
      embedding: tied ? { use: "tied", logitScale: 1 / Math.sqrt(width) } : { use: "untied" },
      feedForward: { use, width: hidden, bias: false },
    };
  },
  weights(_spec, config) {
    const all = sizes(config);
    const map = new MapBuilder();
    map.set("embedding.weight", { tensor: "shared.weight", shape: [all.vocab, all.width] });
    if (!all.tied) map.set("embedding.head", { tensor: "lm_head.weight", shape: [all.vocab, all.width] });
    stack(map, "encoder.", "encoder", all.layers, all);
    stack(map, "", "decoder", all.decoderLayers, all);
    return map.map;
  },
};
