import type { Family, HfConfig, WeightMap } from "../family.ts";
import { GATED } from "./activations.ts";
import { ConfigReader } from "./config-reader.ts";
import { MapBuilder } from "./map-builder.ts";
import { ropeParameters } from "./rope-parameters.ts";

/** Defaults in which the config classes of Llama's kin differ. */
export interface LlamaDefaults {
  readonly vocab: number;
  readonly hidden: number;
  readonly kvHeads?: number;
  readonly context: number;
}

export interface LlamaSizes {
  readonly read: ConfigReader;
  readonly width: number;
  readonly vocab: number;
  readonly context: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly hidden: number;
  readonly tied: boolean;
  readonly bias: boolean;
  readonly mlpBias: boolean;
}

export function llamaSizes(config: HfConfig, { vocab, hidden, kvHeads, context }: LlamaDefaults): LlamaSizes {
  const read = new ConfigReader(config);
  const width = read.integer("hidden_size", 4096);
  const heads = read.integer("num_attention_heads", 32);
  return {
    read, width, heads,
    vocab: read.integer("vocab_size", vocab),
    context: read.integer("max_position_embeddings", context),
    layers: read.integer("num_hidden_layers", 32),
    kvHeads: read.integer("num_key_value_heads", kvHeads ?? heads),
    headDim: read.integer("head_dim", Math.floor(width / heads)),
    hidden: read.integer("intermediate_size", hidden),
    tied: read.boolean("tie_word_embeddings", false),
    bias: read.boolean("attention_bias", false),
    mlpBias: read.boolean("mlp_bias", false),
  };
}

/** The spec that Llama and its kin share. */
export function llamaSpec({ read, layers, width, vocab, context, heads, kvHeads, headDim, bias, hidden, mlpBias, tied }: LlamaSizes): Record<string, unknown> {
  const { position, fraction } = ropeParameters(read, { context });
  return {
    architecture: "decoder", layers, width, vocab, context,
    attention: { use: "mha", heads, kvHeads, headDim, bias },
    position: { ...position, ...(fraction !== undefined && fraction !== 1 && { rotaryDim: Math.floor(headDim * fraction) }) },
    norm: { use: "rms", epsilon: read.number("rms_norm_eps", 1e-6), place: "pre" },
    embedding: { use: tied ? "tied" : "untied" },
    feedForward: { use: read.word("hidden_act", GATED, "silu"), width: hidden, bias: mlpBias },
  };
}

/** Names that Llama and its kin share. Queries and keys turn in halves, as our default layout does, so rows stay as they lie. */
export function llamaWeights({ layers, width, vocab, heads, kvHeads, headDim, bias, hidden, mlpBias, tied }: LlamaSizes): WeightMap {
  const map = new MapBuilder();
  map.set("embedding.weight", { tensor: "model.embed_tokens.weight", shape: [vocab, width] });
  if (!tied) map.set("embedding.head", { tensor: "lm_head.weight", shape: [vocab, width] });
  const [queries, keys] = [heads * headDim, kvHeads * headDim];
  for (let n = 0; n < layers; n++) {
    const [attention, feedForward, theirs] = [`blocks.${n}.attention`, `blocks.${n}.feedForward`, `model.layers.${n}`];
    map.norm(`${attention}.norm`, `${theirs}.input_layernorm`, width);
    map.linear(`${attention}.qkv`, [[`${theirs}.self_attn.q_proj`, queries], [`${theirs}.self_attn.k_proj`, keys], [`${theirs}.self_attn.v_proj`, keys]], width, { bias });
    map.linear(`${attention}.out`, [[`${theirs}.self_attn.o_proj`, width]], queries, { bias });
    map.norm(`${feedForward}.norm`, `${theirs}.post_attention_layernorm`, width);
    map.linear(`${feedForward}.up`, [[`${theirs}.mlp.gate_proj`, hidden], [`${theirs}.mlp.up_proj`, hidden]], width, { bias: mlpBias });
    map.linear(`${feedForward}.down`, [[`${theirs}.mlp.down_proj`, width]], hidden, { bias: mlpBias });
  }
  map.norm("norm", "model.norm", width);
  return map.map;
}

/** Frequencies, as old files keep them. */
// eslint-disable-next-line @typescript-eslint/no-inferrable-types -- isolated declarations want it
export const INVERSE_FREQUENCIES: RegExp = /\.rotary_emb\.inv_freq$/;

/** A copy of the table where both ends share one. */
export const tiedHead = (tied: boolean): Readonly<Record<string, string>> => (tied ? { "lm_head.weight": "model.embed_tokens.weight" } : {});

const sizes = (config: HfConfig): LlamaSizes => llamaSizes(config, { vocab: 32_000, hidden: 11_008, context: 2048 });

/** Llama (Touvron et al., 2023): rotary positions, root-mean-square norms, SwiGLU, shared key heads since Llama 2. */
export const llama: Family = {
  name: "llama",
  modelTypes: ["llama"],
  prefixes: ["model."],
  ignored: [INVERSE_FREQUENCIES],
  tied: (config) => tiedHead(sizes(config).tied),
  spec: (config) => llamaSpec(sizes(config)),
  weights: (_spec, config) => llamaWeights(sizes(config)),
};
