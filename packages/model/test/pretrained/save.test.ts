import { readSafetensors } from "@polyhead/core/safetensors";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Engine } from "@polyhead/tensor";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { folderSink, loadPretrained as loadFrom } from "../../src/node/index.ts";
import type { DecoderModel } from "../../src/index.ts";
import { loadPretrained, memorySink, memorySource, savePretrained, type Pretrained } from "../../src/pretrained/index.ts";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CONFIG, expected, files, held, lab, tensors } from "./fixture.ts";

let engine: Engine;
let loaded: Pretrained<DecoderModel>;
const folder = mkdtempSync(join(tmpdir(), "polyhead-save-"));
beforeAll(async () => {
  engine = createEngine(await openNodeGpu());
  loaded = await (loadPretrained(lab, engine, memorySource(files())) as Promise<Pretrained<DecoderModel>>);
});
afterAll(() => { rmSync(folder, { recursive: true }); });

const again = (from: ReadonlyMap<string, Uint8Array>) => loadPretrained(lab, engine, memorySource(Object.fromEntries(from))) as Promise<Pretrained<DecoderModel>>;

test.each(["F32", "F16", "BF16"] as const)("what is saved as %s is what is loaded, under the names and shapes of the family", async (dtype) => {
  const sink = memorySink();
  await savePretrained(loaded, sink, { dtype });
  expect([...sink.files.keys()]).toEqual(["model.safetensors", "config.json"]);
  const file = readSafetensors(sink.files.get("model.safetensors")!);
  expect(file.metadata).toEqual({ format: "pt" });
  expect(Object.fromEntries(file.names.map((name) => [name, [file.get(name).dtype, [...file.get(name).shape], [...file.get(name).numbers()]]]))).toEqual(
    Object.fromEntries(Object.entries(tensors()).map(([name, { shape, data }]) => [name, [dtype, shape, [...(data as Float32Array)]]])),
  );
  expect(JSON.parse(new TextDecoder().decode(sink.files.get("config.json")))).toEqual({ ...CONFIG, torch_dtype: { F32: "float32", F16: "float16", BF16: "bfloat16" }[dtype] });
  const { model, dispose } = await again(sink.files);
  expect(await held(model)).toEqual(expected());
  dispose();
});

test("shards hold no more than they may, but for a tensor that is larger alone", async () => {
  const sink = memorySink();
  await savePretrained(loaded, sink, { shardBytes: 90 });
  const names = [...sink.files.keys()].filter((name) => name.startsWith("model-"));
  const shards = names.map((name) => readSafetensors(sink.files.get(name)!));
  expect(names[0]).toBe(`model-00001-of-${String(names.length).padStart(5, "0")}.safetensors`);
  expect(shards.every((shard) => shard.names.length === 1 || shard.names.reduce((bytes, name) => bytes + shard.get(name).bytes.length, 0) <= 90)).toBe(true);
  expect(shards.some((shard) => shard.names.length > 1)).toBe(true);
  const { model, dispose } = await again(sink.files);
  expect(await held(model)).toEqual(expected());
  dispose();
});

test("a folder is written file by file, and loaded by its path", async () => {
  const path = join(folder, "made");
  await savePretrained(loaded, folderSink(path));
  expect(readdirSync(path).sort()).toEqual(["config.json", "model.safetensors"]);
  const { model, dispose } = await (loadFrom(lab, engine, path) as Promise<Pretrained<DecoderModel>>);
  expect(await held(model)).toEqual(expected());
  dispose();
});

test("a file that could not be finished leaves the old one and no other behind", async () => {
  const sink = folderSink(folder);
  await sink.write("a.txt", [new Uint8Array([1, 2])]);
  const broken = (function* () {
    yield new Uint8Array([9]);
    throw new Error("the device is gone");
  })();
  await expect(sink.write("a.txt", broken)).rejects.toThrow(`[SINK_WRITE] cannot write 'a.txt' in '${folder}': the device is gone`);
  expect([...readFileSync(join(folder, "a.txt"))]).toEqual([1, 2]);
  expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
  await expect(sink.write("../b.txt", [])).rejects.toThrow("leads out of the folder");
  expect(existsSync(join(folder, "..", "b.txt"))).toBe(false);
});

test("a weight beyond f16 is not saved as infinity", async () => {
  const tensor = loaded.model.parameters.get("norm.weight")!.tensor;
  engine.upload(tensor, [1, 2, 1e5, 3]);
  await expect(savePretrained(loaded, memorySink(), { dtype: "F16" })).rejects.toThrow("[PRETRAINED_RANGE] value 2 of 'rms_final_weight' is 100000, beyond the range of f16");
  await savePretrained(loaded, memorySink(), { dtype: "BF16" });
});
