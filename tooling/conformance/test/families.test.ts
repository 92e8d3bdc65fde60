import { createLab, type ResolvedSpec } from "@polyhead/core";
import { readSafetensors, writeSafetensors, type StoredDtype, type TensorToStore } from "@polyhead/core/safetensors";
import { openNodeGpu } from "@polyhead/gpu-node";
import { familyOf, loadPretrained, memorySink, memorySource, savePretrained, type HfConfig } from "@polyhead/model/pretrained";
import { transformers } from "@polyhead/presets";
import { createEngine, normal, type Engine } from "@polyhead/tensor";
import { assertClose } from "@polyhead/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasEncoder, type AnyModel } from "../hf/open-model.ts";
import { bloom, llama, neox, t5, type Rows, type Weights } from "./by-the-book.ts";

let engine: Engine;
beforeAll(async () => { engine = createEngine(await openNodeGpu()); });
afterAll(() => { engine.gpu.dispose(); });

const lab = createLab(...transformers);
const VOCAB = 11;
const IDS = [3, 1, 4, 1, 5, 9, 2, 6];

/** Weights for every tensor that a config asks for, drawn, and kept in `dtype`. */
function drawn(config: HfConfig, dtype: StoredDtype = "F32"): { readonly file: Uint8Array; readonly weights: Weights } {
  const family = familyOf(config);
  const shapes = new Map([...family.weights(family.spec(config) as unknown as ResolvedSpec, config).values()].flat().map(({ tensor, shape }) => [tensor, shape]));
  const tensors = Object.fromEntries([...shapes].map(([name, shape], stream): [string, TensorToStore] => {
    const size = shape.reduce((product, n) => product * n, 1);
    return [name, { dtype, shape, data: normal(size, { mean: /norm.*weight|ln_f\.weight/.test(name) ? 1 : 0, std: 0.3, seed: 5, stream }) }];
  }));
  const file = writeSafetensors(tensors);
  const stored = readSafetensors(file);
  return { file, weights: Object.fromEntries(stored.names.map((name) => [name, stored.get(name).numbers()])) };
}

/** Logits of the loaded model; a decoder beside an encoder writes the text backwards. */
async function logitsOf(config: HfConfig, file: Uint8Array): Promise<Float32Array> {
  const loaded = await loadPretrained(lab, engine, memorySource({ "config.json": JSON.stringify(config), "model.safetensors": file }), { overrides: { kernel: "reference" } });
  const model = loaded.model as AnyModel;
  const logits = engine.noGrad(() => engine.scope(() => (hasEncoder(model) ? model.logits(model.encode(model.ids(IDS)), model.ids(IDS.toReversed())) : model.logits(model.ids(IDS)))));
  const read = (await logits.read()) as Float32Array;
  logits.dispose();
  loaded.dispose();
  return read;
}

const flat = (rows: Rows): number[] => rows.flatMap((row) => [...row]);

test.each([true, false])("GPT-NeoX is as its book has it, with parallel sublayers: %s", async (parallel) => {
  const config = { model_type: "gpt_neox", vocab_size: VOCAB, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 2, num_attention_heads: 2, max_position_embeddings: 16, rotary_pct: 0.5, hidden_act: "gelu_new", use_parallel_residual: parallel };
  const { file, weights } = drawn(config);
  assertClose(await logitsOf(config, file), flat(neox(IDS, weights, { width: 16, heads: 2, layers: 2 }, parallel)));
});

test.each([true, false])("BLOOM is as its book has it, with heads that are no power of two, adding to the norm of the stream: %s", async (normed) => {
  const config = { model_type: "bloom", vocab_size: VOCAB, hidden_size: 24, n_layer: 2, n_head: 6, apply_residual_connection_post_layernorm: normed };
  const { file, weights } = drawn(config);
  assertClose(await logitsOf(config, file), flat(bloom(IDS, weights, { width: 24, heads: 6, layers: 2 }, normed)));
});

test("T5 1.1 is as its book has it: a gate, a table of its own for the logits, heads that are wider than the stream", async () => {
  const config = { model_type: "t5", vocab_size: VOCAB, d_model: 16, d_kv: 12, d_ff: 20, num_layers: 2, num_heads: 2, feed_forward_proj: "gated-gelu", tie_word_embeddings: false };
  const { file, weights } = drawn(config);
  assertClose(await logitsOf(config, file), flat(t5(IDS, IDS.toReversed(), weights, { width: 16, heads: 2, layers: 2 }, 12)));
});

const LLAMA = { model_type: "llama", vocab_size: VOCAB, hidden_size: 16, intermediate_size: 20, num_hidden_layers: 2, num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 16, attention_bias: true, rope_scaling: { type: "linear", factor: 4 } };

test.each([["F32", 0], ["F16", 2 ** -11], ["BF16", 2 ** -8]] as const)("Llama with positions stretched by four is as its book has it, from %s", async (dtype, rounding) => {
  const { file, weights } = drawn(LLAMA, dtype);
  const sizes = { width: 16, heads: 4, layers: 2 };
  // The numbers of the file themselves, and so those that they were rounded from, as far as rounding moves them.
  const got = await logitsOf(LLAMA, file);
  assertClose(got, flat(llama(IDS, weights, sizes, 4)));
  const unrounded = flat(llama(IDS, drawn(LLAMA).weights, sizes, 4));
  const moved = Math.max(...unrounded.map((want, i) => Math.abs(want - got[i]!))) / Math.max(...unrounded.map(Math.abs));
  expect(moved).toBeLessThan(16 * rounding + 1e-5);
  if (rounding > 0) expect(moved).toBeGreaterThan(rounding / 16);
});

const DEEPSEEK = { vocab_size: VOCAB, hidden_size: 16, intermediate_size: 24, moe_intermediate_size: 8, num_hidden_layers: 2, num_attention_heads: 2, first_k_dense_replace: 1, n_routed_experts: 4, n_shared_experts: 2, num_experts_per_tok: 2, kv_lora_rank: 8, qk_nope_head_dim: 6, qk_rope_head_dim: 4, v_head_dim: 5, max_position_embeddings: 16 };
const SMALL: readonly HfConfig[] = [
  { model_type: "gpt2", vocab_size: VOCAB, n_embd: 16, n_head: 2, n_layer: 2, n_positions: 16 },
  { ...LLAMA, mlp_bias: true },
  { ...LLAMA, model_type: "mistral", attention_bias: false, sliding_window: 4 },
  { model_type: "bloom", vocab_size: VOCAB, hidden_size: 24, n_layer: 2, n_head: 6 },
  { model_type: "mpt", vocab_size: VOCAB, d_model: 24, n_heads: 6, n_layers: 2, max_seq_len: 16, attn_config: { softmax_scale: 0.5 } },
  { model_type: "t5", vocab_size: VOCAB, d_model: 16, d_kv: 12, d_ff: 20, num_layers: 2, num_decoder_layers: 1, num_heads: 2 },
  { model_type: "gpt_neox", vocab_size: VOCAB, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 2, num_attention_heads: 2, max_position_embeddings: 16 },
  { ...DEEPSEEK, model_type: "deepseek_v2", q_lora_rank: null },
  { ...DEEPSEEK, model_type: "deepseek_v3", q_lora_rank: 8, attention_bias: true, n_group: 2, topk_group: 1 },
];

test.each(SMALL)("$model_type: what is saved is what was loaded, bit by bit", async (config) => {
  const { file } = drawn(config);
  const loaded = await loadPretrained(lab, engine, memorySource({ "config.json": JSON.stringify(config), "model.safetensors": file }), { overrides: { kernel: "reference" } });
  const sink = memorySink();
  await savePretrained(loaded, sink);
  loaded.dispose();
  const [want, got] = [readSafetensors(file), readSafetensors(sink.files.get("model.safetensors")!)];
  expect(got.names.toSorted()).toEqual(want.names.toSorted());
  for (const name of want.names) expect(got.get(name), name).toMatchObject({ shape: want.get(name).shape, bytes: want.get(name).bytes });
});
