import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeSafetensors } from "@polyhead/core/safetensors";
import { flashCases, hfModels, nanoGptRun, onnxCases, openSafetensors, referenceSets } from "../src/index.ts";

let data: string;
const one = (value: number) => ({ dtype: "F32" as const, shape: [1], data: [value] });

beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), "polyhead-reference-"));
  const put = (path: string, content: string | Uint8Array): void => {
    mkdirSync(join(data, path, ".."), { recursive: true });
    writeFileSync(join(data, path), content);
  };
  const slot = (n: number, name: string) => ({ slot: n, name, dtype: "F32", shape: [1] });
  put("onnx-ops/index.json", JSON.stringify([{
    case: "add_gap", op: "Add", domain: "", opset: { "": 24 }, attributes: { alpha: 2 },
    inputs: [slot(0, "A"), null, slot(2, "C")], outputs: [slot(0, "Y")], file: "add_gap.safetensors",
  }]));
  put("onnx-ops/add_gap.safetensors", writeSafetensors({ "in.0.A": one(1), "in.2.C": one(3), "out.0.Y": one(4) }));
  put("flash-shapes/index.json", JSON.stringify([{ case: "tiny", bytes: 9, Tq: 1 }]));
  put("flash-shapes/tiny.safetensors", writeSafetensors({ "in.q": one(5) }));
  put("train-nanogpt/config.json", JSON.stringify({ n_layer: 3 }));
  put("train-nanogpt/init_hf_gpt2.safetensors", writeSafetensors({ w: one(6) }));
  put("train-nanogpt/trajectory.safetensors", writeSafetensors({ lr: one(7) }, { recipe: "AdamW" }));
  put("datasets/tinyshakespeare.txt", "First Citizen:");
  put("hf-tiny/summary.json", "[]");
  put("hf-tiny/gpt2-tiny/config.json", JSON.stringify({ model_type: "gpt2" }));
  put("hf-tiny/gpt2-tiny/model.safetensors", writeSafetensors({ w: one(8) }));
  put("hf-tiny/gpt2-tiny/golden.safetensors", writeSafetensors({ logits: one(9) }));
  put("broken/onnx-ops/index.json", "[{");
});
afterAll(() => rmSync(data, { recursive: true, force: true }));

test("an operator case keeps its slots in place, gaps included", () => {
  const [only] = onnxCases(data);
  expect(only).toMatchObject({ case: "add_gap", op: "Add", attributes: { alpha: 2 } });
  const { inputs, outputs } = only!.load();
  expect(inputs.map((tensor) => tensor?.floats()[0])).toEqual([1, undefined, 3]);
  expect(outputs.map((tensor) => tensor?.floats()[0])).toEqual([4]);
});

test("every set of the folder is found and opens", () => {
  expect(referenceSets(data)).toEqual(["broken", "datasets", "flash-shapes", "hf-tiny", "onnx-ops", "train-nanogpt"]);
  expect(flashCases(data).map((one) => [one.case, one.attributes, one.load().get("in.q").floats()[0]])).toEqual([["tiny", { Tq: 1 }, 5]]);
  const run = nanoGptRun(data);
  expect([run.config["n_layer"], run.weights.get("w").floats()[0], run.trajectory.metadata["recipe"], run.text]).toEqual([3, 6, "AdamW", "First Citizen:"]);
  const models = hfModels(data).map((model) => model.load());
  expect(models.map((model) => [model.name, model.config["model_type"], model.golden.get("logits").floats()[0]])).toEqual([["gpt2-tiny", "gpt2", 9]]);
});

test("a missing file and a broken index are errors that name the file", () => {
  expect(() => onnxCases(join(data, "nowhere"))).toThrow(/\[REFERENCE_MISSING\] there is no .*nowhere.*index\.json/);
  expect(() => onnxCases(join(data, "broken"))).toThrow(/\[REFERENCE_FORMAT\] .*index\.json is not JSON/);
  expect(() => openSafetensors(join(data, "hf-tiny/summary.json"))).toThrow(/\[SAFETENSORS_TRUNCATED\] .*summary\.json has 2 bytes/);
  expect(() => hfModels(join(data, "nowhere"))).toThrow(/\[REFERENCE_MISSING\]/);
});
