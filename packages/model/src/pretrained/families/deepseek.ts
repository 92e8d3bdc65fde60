import type { Family, HfConfig, WeightMap } from "../family.ts";
import { ConfigReader } from "./config-reader.ts";
import { INVERSE_FREQUENCIES, tiedHead } from "./llama.ts";
import { MapBuilder } from "./map-builder.ts";
import { ropeParameters, type RopeParameters } from "./rope-parameters.ts";

/** Defaults in which the config classes of DeepSeek's models differ. */
export interface DeepSeekDefaults {
  readonly vocab: number;
  readonly width: number;
  readonly hidden: number;
  readonly layers: number;
  readonly heads: number;
  readonly context: number;
  readonly dense: number;
  readonly experts: number;
  readonly shared: number;
  readonly expertWidth: number;
}

interface Experts {
  readonly routed: number;
  readonly active: number;
  readonly width: number;
  readonly shared: number;
}

/** The latent projections lack a bias unless the config asks for it, and their norms have an epsilon of their own. */
const LATENT_EPSILON = 1e-6;

function sizes(config: HfConfig, defaults: DeepSeekDefaults) {
  const read = new ConfigReader(config);
  const layers = read.integer("num_hidden_layers", defaults.layers);
  const heads = read.integer("num_attention_heads", defaults.heads);
  read.only("num_key_value_heads", [heads], "every head has keys of its own, made from one latent");
  read.only("hidden_act", ["silu"], "experts are SwiGLU networks");
  read.only("mlp_bias", [false], "feed-forward networks have no bias");
  read.only("moe_layer_freq", [1], "experts in every layer after the dense ones");
  const dense = Math.min(layers, read.integer("first_k_dense_replace", defaults.dense, 0));
  const routed = read.integer("n_routed_experts", defaults.experts);
  const experts: Experts | undefined = dense === layers ? undefined : {
    routed,
    active: read.integer("num_experts_per_tok", 8),
    width: read.integer("moe_intermediate_size", defaults.expertWidth),
    shared: config["n_shared_experts"] === null ? 0 : read.integer("n_shared_experts", defaults.shared, 0),
  };
  return {
    read, layers, heads, dense,
    width: read.integer("hidden_size", defaults.width),
    vocab: read.integer("vocab_size", defaults.vocab),
    context: read.integer("max_position_embeddings", defaults.context),
    hidden: read.integer("intermediate_size", defaults.hidden),
    // Null is a model whose queries are not compressed.
    queryRank: config["q_lora_rank"] === null ? undefined : read.integer("q_lora_rank", 1536),
    kvRank: read.integer("kv_lora_rank", 512),
    nopeDim: read.integer("qk_nope_head_dim", 128),
    ropeDim: read.integer("qk_rope_head_dim", 64),
    valueDim: read.integer("v_head_dim", 128),
    bias: read.boolean("attention_bias", false),
    tied: read.boolean("tie_word_embeddings", false),
    ...(experts && { experts }),
  };
}

type Sizes = ReturnType<typeof sizes>;

/** Scores under YaRN are larger by the square of 0.1 · mscale_all_dim · ln(factor) + 1, as DeepSeek's own code has them. */
function scaleOf({ nopeDim, ropeDim }: Sizes, scaling: RopeParameters["scaling"]): number | undefined {
  const [factor, allDim] = [scaling?.["factor"], scaling?.["mscaleAllDim"]];
  if (typeof factor !== "number" || typeof allDim !== "number" || allDim === 0 || factor <= 1) return undefined;
  return (0.1 * allDim * Math.log(factor) + 1) ** 2 / Math.sqrt(nopeDim + ropeDim);
}

/** What a model's own rules of routing add to the `experts` of a spec. */
export type RoutingRules = (read: ConfigReader) => Readonly<Record<string, unknown>>;

function specOf(all: Sizes, routing: RoutingRules): Record<string, unknown> {
  const { read, layers, width, vocab, context, heads, dense, hidden, queryRank, kvRank, nopeDim, ropeDim, valueDim, bias, tied, experts } = all;
  const { position, scaling } = ropeParameters(read, { context });
  const scale = scaleOf(all, scaling);
  return {
    architecture: "decoder", layers, width, vocab, context,
    attention: { use: "mla", heads, kvRank, ...(queryRank !== undefined && { queryRank }), nopeDim, ropeDim, valueDim, bias, normEpsilon: LATENT_EPSILON, ...(scale !== undefined && { scale }) },
    position: { ...position, layout: read.boolean("rope_interleave", true) ? "interleaved" : "half" },
    norm: { use: "rms", epsilon: read.number("rms_norm_eps", 1e-6), place: "pre" },
    embedding: { use: tied ? "tied" : "untied" },
    feedForward: { use: "swiglu", width: hidden, bias: false },
    ...(experts && { order: `${dense > 0 ? `(sf)${dense}` : ""}(sm)${layers - dense}`, experts: { ...experts, ...routing(read) } }),
  };
}

function attention(map: MapBuilder, ours: string, theirs: string, { width, heads, queryRank, kvRank, nopeDim, ropeDim, valueDim, bias }: Sizes): void {
  const queries = heads * (nopeDim + ropeDim);
  if (queryRank === undefined) {
    map.linear(`${ours}.query`, [[`${theirs}.q_proj`, queries]], width);
  } else {
    map.linear(`${ours}.queryDown`, [[`${theirs}.q_a_proj`, queryRank]], width, { bias });
    map.norm(`${ours}.queryNorm`, `${theirs}.q_a_layernorm`, queryRank);
    map.linear(`${ours}.queryUp`, [[`${theirs}.q_b_proj`, queries]], queryRank);
  }
  map.linear(`${ours}.down`, [[`${theirs}.kv_a_proj_with_mqa`, kvRank + ropeDim]], width, { bias });
  map.norm(`${ours}.latentNorm`, `${theirs}.kv_a_layernorm`, kvRank);
  map.linear(`${ours}.up`, [[`${theirs}.kv_b_proj`, heads * (nopeDim + valueDim)]], kvRank);
  map.linear(`${ours}.out`, [[`${theirs}.o_proj`, width]], heads * valueDim, { bias });
}

const gatedUp = (theirs: string, hidden: number): (readonly [string, number])[] => [[`${theirs}.gate_proj`, hidden], [`${theirs}.up_proj`, hidden]];

function mixture(map: MapBuilder, ours: string, theirs: string, width: number, { routed, width: hidden, shared }: Experts, correction: boolean): void {
  map.linear(`${ours}.router`, [[`${theirs}.gate`, routed]], width);
  if (correction) map.set(`${ours}.router.correction`, { tensor: `${theirs}.gate.e_score_correction_bias`, shape: [routed] });
  const each = Array.from({ length: routed }, (_, e) => `${theirs}.experts.${e}`);
  map.set(`${ours}.experts.up`, ...each.flatMap((expert) => ["gate_proj", "up_proj"].map((name) => ({ tensor: `${expert}.${name}.weight`, shape: [hidden, width] }))));
  map.set(`${ours}.experts.down`, ...each.map((expert) => ({ tensor: `${expert}.down_proj.weight`, shape: [width, hidden] })));
  if (shared === 0) return;
  map.linear(`${ours}.shared.up`, gatedUp(`${theirs}.shared_experts`, shared * hidden), width);
  map.linear(`${ours}.shared.down`, [[`${theirs}.shared_experts.down_proj`, width]], shared * hidden);
}

function weightsOf(all: Sizes, correction: boolean): WeightMap {
  const { layers, width, vocab, dense, hidden, tied, experts } = all;
  const map = new MapBuilder();
  map.set("embedding.weight", { tensor: "model.embed_tokens.weight", shape: [vocab, width] });
  if (!tied) map.set("embedding.head", { tensor: "lm_head.weight", shape: [vocab, width] });
  for (let n = 0; n < layers; n++) {
    const theirs = `model.layers.${n}`;
    const ours = `blocks.${n}.feedForward`;
    map.norm(`blocks.${n}.attention.norm`, `${theirs}.input_layernorm`, width);
    attention(map, `blocks.${n}.attention`, `${theirs}.self_attn`, all);
    map.norm(`${ours}.norm`, `${theirs}.post_attention_layernorm`, width);
    if (n >= dense && experts !== undefined) {
      mixture(map, ours, `${theirs}.mlp`, width, experts, correction);
    } else {
      map.linear(`${ours}.up`, gatedUp(`${theirs}.mlp`, hidden), width);
      map.linear(`${ours}.down`, [[`${theirs}.mlp.down_proj`, width]], hidden);
    }
  }
  map.norm("norm", "model.norm", width);
  return map.map;
}

export interface DeepSeekOptions {
  readonly name: string;
  readonly defaults: DeepSeekDefaults;
  readonly routing: RoutingRules;
  /** The choice of experts is corrected by a stored bias. */
  readonly correction: boolean;
  readonly ignored?: readonly RegExp[];
}

/** A family of latent attention (MLA) and mixtures of experts. */
export function deepSeekFamily({ name, defaults, routing, correction, ignored = [] }: DeepSeekOptions): Family {
  return {
    name,
    modelTypes: [name],
    prefixes: ["model."],
    ignored: [INVERSE_FREQUENCIES, ...ignored],
    tied: (config) => tiedHead(sizes(config, defaults).tied),
    spec: (config) => specOf(sizes(config, defaults), routing),
    weights: (_spec, config) => weightsOf(sizes(config, defaults), correction),
  };
}
