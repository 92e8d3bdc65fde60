import { createLab } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Engine } from "@polyhead/tensor";
import { writeSafetensors, type TensorToStore } from "@polyhead/core/safetensors";
import { decoder, type DecoderModel } from "../../src/index.ts";
import { llama2c, loadPretrained, memorySource, type Family, type LoadOptions, type Pretrained } from "../../src/pretrained/index.ts";
import { beforeAll, expect, test } from "vitest";
import { CONFIG, expected, files, held, lab, tensors } from "./fixture.ts";

let engine: Engine;
beforeAll(async () => {
  engine = createEngine(await openNodeGpu());
});

type Files = Readonly<Record<string, Uint8Array | string>>;
// A lab whose plugins are not told apart by type builds models of any.
const load = async (from: Files, options?: LoadOptions): Promise<Pretrained<DecoderModel>> => await (loadPretrained(lab, engine, memorySource(from, "dir"), options) as Promise<Pretrained<DecoderModel>>);

/** That loading fails so, and leaves nothing on the device. */
async function refuses(from: Files, code: string, message: string, options?: LoadOptions): Promise<void> {
  const before = engine.gpu.stats.liveBytes;
  await expect(load(from, options)).rejects.toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as Error);
  expect(engine.gpu.stats.liveBytes).toBe(before);
}

const without = (name: string): Record<string, TensorToStore> => Object.fromEntries(Object.entries(tensors()).filter(([key]) => key !== name));

test.each(["F64", "F32", "F16", "BF16"] as const)("every parameter holds the rows of its tensors, stored as %s", async (dtype) => {
  const before = engine.gpu.stats.liveBytes;
  const { model, report, generation, dispose } = await load({ ...files(tensors(dtype)), "generation_config.json": '{"eos_token_id":[4,9],"bos_token_id":1}' });
  expect(await held(model)).toEqual(expected());
  expect(report).toEqual({ unused: [], missing: [], nonFinite: [], bytes: 4 * model.parameters.count });
  expect(generation).toMatchObject({ eos: [4], bos: 1 });
  dispose();
  expect(engine.gpu.stats.liveBytes).toBe(before);
});

test("weight matrices may lie in f16 on the device", async () => {
  const { model, report, dispose } = await load(files(), { dtype: "f16" });
  expect(await held(model)).toEqual(expected());
  expect(report.bytes).toBeLessThan(3 * model.parameters.count);
  dispose();
});

test("shards are one checkpoint", async () => {
  const all = Object.entries(tensors());
  const [a, b] = [Object.fromEntries(all.slice(0, 5)), Object.fromEntries(all.slice(5))];
  const map = Object.fromEntries(all.map(([name], i) => [name, i < 5 ? "model-00001-of-00002.safetensors" : "model-00002-of-00002.safetensors"]));
  const sharded: Record<string, Uint8Array | string> = {
    "config.json": JSON.stringify(CONFIG),
    "model-00001-of-00002.safetensors": writeSafetensors(a),
    "model-00002-of-00002.safetensors": writeSafetensors(b),
    "model.safetensors.index.json": JSON.stringify({ metadata: {}, weight_map: map }),
  };
  const { model, dispose } = await load(sharded);
  expect(await held(model)).toEqual(expected());
  dispose();

  const index = (changed: unknown): Files => ({ ...sharded, "model.safetensors.index.json": typeof changed === "string" ? changed : JSON.stringify({ weight_map: changed }) });
  const { "model-00002-of-00002.safetensors": _gone, ...half } = sharded;
  const [first, last] = [all[0]![0], all.at(-1)![0]];
  await refuses(half, "PRETRAINED_INDEX", "names the shard 'model-00002-of-00002.safetensors', which is not there");
  await refuses(index({ ...map, [last]: "../secret.safetensors" }), "PRETRAINED_INDEX", `puts '${last}' into "../secret.safetensors", which is no name of a .safetensors file beside it`);
  await refuses(index({ ...map, [last]: "..\\secret.safetensors" }), "PRETRAINED_INDEX", "which is no name");
  await refuses(index({ ...map, [last]: 3 }), "PRETRAINED_INDEX", "which is no name");
  await refuses(index({ ...map, ghost: "model-00001-of-00002.safetensors" }), "PRETRAINED_INDEX", "puts 'ghost' into 'model-00001-of-00002.safetensors', which does not hold it");
  await refuses(index({ ...map, [last]: "model-00001-of-00002.safetensors" }), "PRETRAINED_INDEX", `puts '${last}' into 'model-00001-of-00002.safetensors', but 'model-00002-of-00002.safetensors' holds it`);
  await refuses(index(Object.fromEntries(Object.entries(map).slice(1))), "PRETRAINED_INDEX", `does not name '${first}'`);
  await refuses(index([]), "PRETRAINED_INDEX", "has no object 'weight_map'");
  await refuses(index('{"weight_map":{},"weight_map":{}}'), "PRETRAINED_JSON", "has the key 'weight_map' twice");
  const twice = { ...sharded, "model-00002-of-00002.safetensors": writeSafetensors({ ...b, [first]: all[0]![1] }) };
  await refuses(twice, "PRETRAINED_INDEX", `has shards that both hold '${first}'`);
});

test("everything that is missing and everything that nobody uses is listed in one error, unless allowed", async () => {
  const extra: TensorToStore = { dtype: "F32", shape: [1], data: [1] };
  const { "layers.0.wk": gone, ...rest } = tensors();
  expect(gone).toBeDefined();
  const odd = files({ ...rest, one: extra, two: extra });
  await refuses(odd, "PRETRAINED_TENSORS", "dir/model.safetensors lacks 'layers.0.wk', and holds 'one', 'two', which this model does not use");
  await refuses(odd, "PRETRAINED_TENSORS", "dir/model.safetensors lacks 'layers.0.wk'\n", { allowUnused: true });
  await refuses(odd, "PRETRAINED_TENSORS", "holds 'one', 'two'", { allowMissing: true });
  const { model, report, dispose } = await load(odd, { allowMissing: true, allowUnused: true });
  expect([report.missing, report.unused]).toEqual([["layers.0.wk"], ["one", "two"]]);
  const { "blocks.0.attention.qkv.weight": drawn, ...others } = await held(model);
  const { "blocks.0.attention.qkv.weight": whole, ...known } = expected();
  expect(others).toEqual(known);
  // A parameter of which a part is missing is drawn as a whole.
  expect(drawn!.every((value, i) => value !== whole![i] && Math.abs(value) < 0.1)).toBe(true);
  dispose();
});

test("names may have a family's prefix or lack it; of two spellings one is unused", async () => {
  const prefixed: Family = { ...llama2c, prefixes: ["transformer."] };
  const { model, dispose } = await load(files(Object.fromEntries(Object.entries(tensors()).map(([name, tensor]) => [`transformer.${name}`, tensor]))), { families: [prefixed] });
  expect(await held(model)).toEqual(expected());
  dispose();
  await refuses(files({ ...tensors(), "transformer.rms_final_weight": tensors()["rms_final_weight"]! }), "PRETRAINED_TENSORS", "holds 'transformer.rms_final_weight'", { families: [prefixed] });
});

test("a copy of a tied tensor must be one, and may stand for the original", async () => {
  const families: Family[] = [{ ...llama2c, prefixes: ["model."], tied: () => ({ lm_head: "token_embedding_table" }) }];
  const table = tensors()["token_embedding_table"]!;
  const { model, report, dispose } = await load(files({ ...tensors(), "model.lm_head": table }), { families });
  expect([await held(model), report.unused]).toEqual([expected(), []]);
  dispose();
  const renamed = await load(files({ ...without("token_embedding_table"), lm_head: table }), { families });
  expect(await held(renamed.model)).toEqual(expected());
  renamed.dispose();
  const changed = Float32Array.from(table.data, (value, i) => (i === 6 ? 9 : value));
  await refuses(files({ ...tensors(), lm_head: { ...table, data: changed } }), "PRETRAINED_TIED", "'lm_head' of dir/model.safetensors should be a copy of 'token_embedding_table', but their values number 6 are 9 and", { families });
});

test("weights that are no numbers are named and counted, unless allowed", async () => {
  const norm: TensorToStore = { dtype: "F32", shape: [4], data: [1, NaN, -Infinity, 2] };
  const bad = files({ ...tensors(), "layers.0.wo": { dtype: "F32", shape: [4, 4], data: new Float32Array(16).fill(NaN) }, rms_final_weight: norm });
  await refuses(bad, "PRETRAINED_NONFINITE", "'layers.0.wo (16)', 'rms_final_weight (2)'");
  const { report, model, dispose } = await load(bad, { allowNonFinite: true });
  expect(report.nonFinite).toEqual([{ tensor: "layers.0.wo", count: 16 }, { tensor: "rms_final_weight", count: 2 }]);
  expect((await held(model))["norm.weight"]).toEqual(norm.data);
  dispose();
  // A double beyond f32, and a weight beyond f16 where it would be stored so.
  await refuses(files({ ...tensors(), rms_final_weight: { dtype: "F64", shape: [4], data: [1e300, 0, 0, 0] } }), "PRETRAINED_NONFINITE", "'rms_final_weight (1)'");
  await refuses(files({ ...tensors(), "layers.0.wv": { dtype: "F32", shape: [2, 4], data: [70_000, 1, 1, 1, 1, 1, 1, 1] } }), "PRETRAINED_NONFINITE", "beyond the range of f16: 'layers.0.wv (1)'", { dtype: "f16" });
});

test("headers are compared with the config before any memory is taken", async () => {
  const wide: TensorToStore = { dtype: "F32", shape: [4, 5], data: new Float32Array(20) };
  const peak = engine.gpu.stats.buffers;
  await refuses(files({ ...tensors(), "layers.0.wo": wide }), "PRETRAINED_SHAPE", "'layers.0.wo' is [4, 5] in the file and [4, 4] by the config");
  await refuses(files({ ...tensors(), "layers.0.wo": { dtype: "I8", shape: [4, 4], data: new Int8Array(16) } }), "PRETRAINED_DTYPE", "'layers.0.wo' is I8; read are F32, F16, BF16, F64");
  await refuses({ ...files(), "config.json": JSON.stringify({ ...CONFIG, model_type: "gpt5" }) }, "PRETRAINED_FAMILY_UNKNOWN", 'its model_type is "gpt5"; known are');
  await refuses({ ...files(), "config.json": "{}" }, "PRETRAINED_FAMILY_UNKNOWN", "its model_type is nothing; known are");
  await refuses({ ...files(), "config.json": "[1]" }, "PRETRAINED_JSON", "'config.json' of dir is not a JSON object");
  await refuses({ ...files(), "config.json": '{"model_type":"llama2c","model_type":"llama2c"}' }, "PRETRAINED_JSON", "has the key 'model_type' twice");
  await refuses({ ...files(), "config.json": new Uint8Array([0x7b, 0xff]) }, "SOURCE_TEXT", "is not text in UTF-8");
  await refuses({ ...files(), "config.json": new Uint8Array(17 << 20) }, "SOURCE_SIZE", "'config.json' of dir has 17825792 bytes; at most 16777216 are read");
  await refuses({ "config.json": "{}" }, "PRETRAINED_FILES", "dir has neither model.safetensors nor model.safetensors.index.json");
  await refuses({ "config.json": "{}", "pytorch_model.bin": "" }, "PRETRAINED_FILES", "only pickled weights, which can run code");
  await refuses({}, "PRETRAINED_FILES", "dir has no config.json");
  expect(engine.gpu.stats.buffers).toBe(peak);
});

test.each([
  ["n_layers", 1e9, "PRETRAINED_SHAPE", "the config asks for layers 1000000000; dir/model.safetensors holds 11 tensors"],
  ["dim", 4e9, "PRETRAINED_SHAPE", "the config asks for width 4000000000; the largest tensor of dir/model.safetensors has 24 elements"],
  ["vocab_size", 2 ** 53 - 1, "PRETRAINED_SHAPE", "the config asks for vocab 9007199254740991"],
  ["n_heads", 1e9, "PRETRAINED_SHAPE", "the config asks for attention.heads 1000000000"],
  ["hidden_dim", 1e9, "PRETRAINED_SHAPE", "the config asks for feedForward.width 1000000000"],
  ["max_seq_len", 1e9, "PRETRAINED_CONTEXT", "a context of 1000000000 positions; tables are made for at most 1048576"],
])("a config that asks for %s %d is refused before anything of that size is made", async (key, value, code, message) => {
  await refuses(files(tensors(), { ...CONFIG, [key]: value }), code, message);
});

test("a lab that lacks a plugin says which", async () => {
  const poor = createLab(decoder);
  await expect(loadPretrained(poor, engine, memorySource(files()))).rejects.toThrow("[LAB_UNKNOWN] this lab has no attention 'mha'");
});

test("keys of the spec stand in place of the config's", async () => {
  const { spec, dispose } = await load(files(), { overrides: { context: 3, kernel: "reference" } });
  expect([spec.context, spec.kernel]).toEqual([3, "reference"]);
  dispose();
  await refuses(files(), "CONFIG_UNKNOWN_KEY", "unknown key 'contxt'", { overrides: { contxt: 3 } });
  // Found out when the embedding is already there.
  await refuses(files(), "CONFIG_ORDER", "order", { overrides: { order: "ss" } });
});

test("a family whose map does not fit its own spec is told so", async () => {
  const family = (change: (map: Map<string, never[]>) => void): LoadOptions => ({
    allowUnused: true,
    families: [{ ...llama2c, weights: (spec, config) => {
      const map = new Map(llama2c.weights(spec, config));
      change(map as unknown as Map<string, never[]>);
      return map;
    } }],
  });
  await refuses(files(), "PRETRAINED_FAMILY", "has no recipe for the parameter 'norm.weight'", family((map) => map.delete("norm.weight")));
  await refuses(files(), "PRETRAINED_FAMILY", "names 'ghost', which the model does not have", family((map) => map.set("ghost", map.get("norm.weight")!)));
  await refuses(files(), "PRETRAINED_FAMILY", "makes 8 values for the parameter 'norm.weight' of shape [4]", family((map) => map.set("norm.weight", [...map.get("norm.weight")!, ...map.get("norm.weight")!])));
});

test("a cancelled load, and one whose source fails midway, leave nothing behind", async () => {
  const before = engine.gpu.stats.liveBytes;
  const stop = new AbortController();
  await expect(load(files(), { signal: stop.signal, onProgress: (done) => { if (done === 3) stop.abort(); } })).rejects.toThrow("aborted");
  const whole = memorySource(files());
  let reads = 0;
  const failing = { ...whole, read: (name: string, begin: number, end: number) => (reads++ > 6 ? Promise.reject(new Error("the network is gone")) : whole.read(name, begin, end)) };
  await expect(loadPretrained(lab, engine, failing)).rejects.toThrow("the network is gone");
  expect(engine.gpu.stats.liveBytes).toBe(before);
});

test("a tokenizer may give fewer ids than the table has rows, but not more", async () => {
  const tokenizer = (size: number): string => JSON.stringify({
    added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: { type: "Fuse" },
    model: { type: "BPE", unk_token: "a", merges: [], vocab: Object.fromEntries(["a", "b", "c", "d", "e", "f"].slice(0, size).map((letter, id) => [letter, id])) },
  });
  const { tokenizer: made, dispose } = await load({ ...files(), "tokenizer.json": tokenizer(3) });
  expect([made!.vocabSize, made!.encode("cab"), made!.decode([2, 0, 1])]).toEqual([3, [2, 0, 1], "cab"]);
  dispose();
  await refuses({ ...files(), "tokenizer.json": tokenizer(6) }, "PRETRAINED_TOKENIZER", "the tokenizer gives ids up to 5, the model has a vocabulary of 5");
});
