import { isPolyheadError, type ResolvedSpec } from "@polyhead/core";
import { describe, expect, test } from "vitest";
import { FAMILIES } from "../../src/pretrained/families/index.ts";
import type { Family, HfConfig } from "../../src/pretrained/family.ts";
import { recipeSize } from "../../src/pretrained/piece.ts";

const family = (name: string): Family => FAMILIES.find((one) => one.name === name)!;
const specOf = (name: string, config: HfConfig = {}): Record<string, any> => family(name).spec(config); // eslint-disable-line @typescript-eslint/no-explicit-any -- plain JSON, looked into

/** Numbers that a model learns, by its weight map. */
function learned(name: string, config: HfConfig): number {
  const one = family(name);
  let sum = 0;
  for (const [parameter, recipe] of one.weights(one.spec(config) as unknown as ResolvedSpec, config)) if (!parameter.endsWith("correction")) sum += recipeSize(recipe);
  return sum;
}

/** The message of the refusal; the test fails where nothing is refused. */
function refusal(name: string, config: HfConfig): string {
  try {
    const made = family(name).spec(config);
    throw new Error(`made ${JSON.stringify(made)}`);
  } catch (error) {
    if (!isPolyheadError(error, "PRETRAINED_CONFIG")) throw error;
    return error.message;
  }
}

describe("configs", () => {
  // Parameters as the models' authors count them.
  test.each([
    ["gpt2", "GPT-2", 124_439_808, {}],
    ["llama", "Llama 7B", 6_738_415_616, {}],
    ["mistral", "Mistral 7B", 7_241_732_096, {}],
    ["t5", "T5 small", 60_506_624, {}],
    ["gpt_neox", "GPT-NeoX 20B", 20_554_567_680, {}],
    ["bloom", "BLOOM 560M", 559_214_592, { n_layer: 24, n_head: 16, hidden_size: 1024 }],
    ["mpt", "MPT 7B", 6_649_286_656, { d_model: 4096, n_heads: 32, n_layers: 32, vocab_size: 50_432 }],
    ["deepseek_v2", "DeepSeek-V2-Lite", 15_706_484_224, { vocab_size: 102_400, hidden_size: 2048, intermediate_size: 10_944, moe_intermediate_size: 1408, num_hidden_layers: 27, num_attention_heads: 16, q_lora_rank: null, first_k_dense_replace: 1, num_experts_per_tok: 6 }],
  ] as const)("%s: what a config leaves out is as its class has it, so %s has all its parameters", (name, _model, count, config) => {
    expect(learned(name, config)).toBe(count);
  });

  test("DeepSeek-V3 has its 671 billion parameters, 37 of them for a token", () => {
    const all = learned("deepseek_v3", {});
    const expert = 3 * 2048 * 7168;
    expect(all / 1e9).toBeCloseTo(671.0, 1);
    // Without the two tables of words but one, as the report counts.
    expect((all - 58 * (256 - 8) * expert - 129_280 * 7168) / 1e9).toBeCloseTo(36.6, 1);
  });

  test("a value that would change the numbers is refused by key, value and what is supported", () => {
    const refused: readonly (readonly [family: string, config: HfConfig, message: RegExp])[] = [
      ["gpt2", { scale_attn_by_inverse_layer_idx: true }, /scale_attn_by_inverse_layer_idx true; supported is false/],
      ["gpt2", { add_cross_attention: true }, /add_cross_attention true/],
      ["gpt2", { activation_function: "quick_gelu" }, /activation_function "quick_gelu"; supported is 'gelu', 'gelu_new'/],
      ["gpt2", { n_embd: "768" }, /n_embd "768"; supported is a whole number of at least 1/],
      ["llama", { quantization_config: { quant_method: "fp8" } }, /quantization_config \{"quant_method":"fp8"\}; supported is null/],
      ["llama", { rope_scaling: { type: "mrope", factor: 2 } }, /rope_scaling\.type "mrope"; supported is 'default', 'linear'/],
      ["llama", { rope_scaling: { type: "linear", factor: 2, strength: 3 } }, /rope_scaling\.strength 3; supported is no such key/],
      ["llama", { rope_scaling: [2] }, /rope_scaling \[2\]; supported is an object/],
      ["mistral", { attention_bias: true }, /attention_bias true/],
      ["mpt", { attn_config: { clip_qkv: 6 } }, /attn_config\.clip_qkv 6; supported is null/],
      ["mpt", { attn_config: { alibi: false } }, /attn_config\.alibi false; supported is true/],
      ["mpt", { attn_config: { alibi_bias_max: 16 } }, /attn_config\.alibi_bias_max 16; supported is 8/],
      ["mpt", { attn_config: { qk_ln: true } }, /attn_config\.qk_ln true/],
      ["mpt", { logit_scale: "inv_sqrt_d_model" }, /logit_scale "inv_sqrt_d_model"/],
      ["t5", { feed_forward_proj: "gated-tanh" }, /feed_forward_proj "gated-tanh"/],
      ["deepseek_v2", { norm_topk_prob: true, num_experts_per_tok: 2 }, /norm_topk_prob true/],
      ["deepseek_v2", { topk_method: "noaux_tc" }, /topk_method "noaux_tc"; supported is 'greedy', 'group_limited_greedy'/],
      ["deepseek_v3", { scoring_func: "softmax" }, /scoring_func "softmax"; supported is "sigmoid"/],
      ["deepseek_v3", { moe_layer_freq: 2 }, /moe_layer_freq 2; supported is 1/],
      ["deepseek_v3", { num_key_value_heads: 8 }, /num_key_value_heads 8; supported is 128/],
    ];
    for (const [name, config, message] of refused) expect(refusal(name, config), name).toMatch(message);
  });

  test("the spellings of rotary scaling say the same", () => {
    const scaled = (config: HfConfig): unknown => specOf("llama", { max_position_embeddings: 8192, ...config })["position"];
    const llama3 = { factor: 8, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 2048 };
    const want = { use: "rope", base: 5e5, scaling: { ropeType: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 2048 } };
    expect(scaled({ rope_theta: 5e5, rope_scaling: { rope_type: "llama3", ...llama3 } })).toEqual(want);
    expect(scaled({ rope_theta: 5e5, rope_scaling: { type: "llama3", ...llama3 } })).toEqual(want);
    expect(scaled({ rope_parameters: { rope_type: "llama3", rope_theta: 5e5, ...llama3 } })).toEqual(want);
    expect(scaled({ rope_scaling: null })).toEqual({ use: "rope", base: 1e4 });
    expect(scaled({ rope_scaling: { type: "dynamic", factor: 2 } })).toEqual({ use: "rope", base: 1e4, scaling: { ropeType: "dynamic", factor: 2, originalMaxPositionEmbeddings: 8192 } });
    expect(scaled({ rope_scaling: { type: "su", short_factor: [1, 2], long_factor: [2, 3] }, original_max_position_embeddings: 4096 })).toMatchObject({ scaling: { ropeType: "longrope", shortFactor: [1, 2], longFactor: [2, 3], factor: 2, originalMaxPositionEmbeddings: 4096 } });
  });

  test("a window is 4096 tokens where Mistral's config does not say, and none where it says null", () => {
    expect(specOf("mistral")).toMatchObject({ order: "(wf)32", window: 4096 });
    expect(specOf("mistral", { sliding_window: null })).not.toHaveProperty("window");
  });

  test("GPT-NeoX turns a quarter of a head beside the feed-forward, in both spellings of the fraction, or all of it before", () => {
    const small = { hidden_size: 64, num_attention_heads: 2 };
    expect(specOf("gpt_neox", small)).toMatchObject({ order: "parallel", position: { rotaryDim: 8 } });
    expect(specOf("gpt_neox", { ...small, use_parallel_residual: false, rotary_pct: 1 })).toMatchObject({ order: "interleaved", position: { rotaryDim: 32 } });
    expect(specOf("gpt_neox", { ...small, rope_parameters: { rope_theta: 100, partial_rotary_factor: 0.5 } })).toMatchObject({ position: { base: 100, rotaryDim: 16 } });
  });

  test("T5 divides logits by the root of its width only where its tables are tied, and 1.1 has a gate", () => {
    expect(specOf("t5", { d_model: 64 })).toMatchObject({ embedding: { use: "tied", logitScale: 1 / 8 }, feedForward: { use: "relu" } });
    expect(specOf("t5", { tie_word_embeddings: false, feed_forward_proj: "gated-gelu", num_layers: 3, num_decoder_layers: 2 })).toMatchObject({ embedding: { use: "untied" }, feedForward: { use: "geglu-tanh" }, layers: 2, encoder: { layers: 3 } });
  });

  test("YaRN makes DeepSeek's scores larger by the square of its factor", () => {
    const yarn = { type: "yarn", factor: 40, mscale: 0.707, mscale_all_dim: 0.707, original_max_position_embeddings: 4096, beta_fast: 32, beta_slow: 1 };
    const scale = ((0.1 * 0.707 * Math.log(40) + 1) ** 2) / Math.sqrt(192);
    for (const name of ["deepseek_v2", "deepseek_v3"]) {
      const config = { rope_scaling: yarn, max_position_embeddings: 163_840, num_experts_per_tok: 6, norm_topk_prob: name === "deepseek_v3" };
      expect(specOf(name, config)["attention"].scale).toBeCloseTo(scale, 12); // eslint-disable-line @typescript-eslint/no-unsafe-member-access -- plain JSON
      expect(specOf(name, { ...config, rope_scaling: null })["attention"]).not.toHaveProperty("scale");
    }
  });

  test("DeepSeek's first layers are dense, and a model of such layers alone has no experts", () => {
    expect(specOf("deepseek_v3", { num_hidden_layers: 5 })).toMatchObject({ order: "(sf)3(sm)2", experts: { routed: 256, groups: 8, activeGroups: 4, groupScore: "top2", scoring: "sigmoid", correction: true, scale: 2.5 } });
    expect(specOf("deepseek_v3", { num_hidden_layers: 2 })).not.toHaveProperty("experts");
    expect(specOf("deepseek_v3", { num_hidden_layers: 2, first_k_dense_replace: 0, rope_interleave: false })).toMatchObject({ order: "(sm)2", position: { layout: "half" } });
    expect(specOf("deepseek_v2", { topk_method: "group_limited_greedy", n_group: 4, topk_group: 2, num_experts_per_tok: 6 })).toMatchObject({ experts: { groups: 4, activeGroups: 2, groupScore: "max", scoring: "softmax" } });
  });
});
