import { mha, reference } from "@polyhead/attn-mha";
import { createLab, type Lab } from "@polyhead/core";
import { writeSafetensors, type StoredDtype, type TensorToStore } from "@polyhead/core/safetensors";
import { tied } from "@polyhead/embed-tied";
import { untied } from "@polyhead/embed-untied";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { normal } from "@polyhead/tensor";
import { decoder, type DecoderModel } from "../../src/index.ts";

export const lab: Lab = createLab(mha, reference, rope, rms, tied, untied, decoder);

/** A config that needs no family of its own: llama2.c's sizes in a config.json. */
export const CONFIG = { model_type: "llama2c", dim: 4, hidden_dim: 6, n_layers: 1, n_heads: 2, n_kv_heads: 1, vocab_size: 5, max_seq_len: 8, shared: true };

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  token_embedding_table: [5, 4],
  "layers.0.rms_att_weight": [4],
  "layers.0.wq": [4, 4],
  "layers.0.wk": [2, 4],
  "layers.0.wv": [2, 4],
  "layers.0.wo": [4, 4],
  "layers.0.rms_ffn_weight": [4],
  "layers.0.w1": [6, 4],
  "layers.0.w2": [4, 6],
  "layers.0.w3": [6, 4],
  rms_final_weight: [4],
};

/** The weights of `CONFIG`, drawn so that f16 and bf16 hold them exactly. */
export function tensors(dtype: StoredDtype = "F32"): Record<string, TensorToStore> {
  return Object.fromEntries(Object.entries(SHAPES).map(([name, shape], stream) => {
    const size = shape.reduce((product, n) => product * n, 1);
    return [name, { dtype, shape, data: normal(size, { mean: 0, std: 1, seed: 7, stream }).map((x) => Math.round(16 * x) / 16) }];
  }));
}

/** The files of a checkpoint. */
export const files = (weights: Readonly<Record<string, TensorToStore>> = tensors(), config: Readonly<Record<string, unknown>> = CONFIG): Record<string, Uint8Array | string> => ({
  "config.json": JSON.stringify(config),
  "model.safetensors": writeSafetensors(weights),
});

/** What the parameters of a model should hold, by our names. */
export function expected(weights: Readonly<Record<string, TensorToStore>> = tensors()): Record<string, number[]> {
  const of = (...names: string[]): number[] => names.flatMap((name) => [...(weights[name]!.data as Float32Array)]);
  return {
    "embedding.weight": of("token_embedding_table"),
    "blocks.0.attention.norm.weight": of("layers.0.rms_att_weight"),
    "blocks.0.attention.qkv.weight": of("layers.0.wq", "layers.0.wk", "layers.0.wv"),
    "blocks.0.attention.out.weight": of("layers.0.wo"),
    "blocks.0.feedForward.norm.weight": of("layers.0.rms_ffn_weight"),
    "blocks.0.feedForward.up.weight": of("layers.0.w1", "layers.0.w3"),
    "blocks.0.feedForward.down.weight": of("layers.0.w2"),
    "norm.weight": of("rms_final_weight"),
  };
}

/** What they hold. */
export async function held(model: DecoderModel): Promise<Record<string, number[]>> {
  const all: Record<string, number[]> = {};
  for (const { name, tensor } of model.parameters.all) all[name] = [...(await tensor.read())];
  return all;
}
