import { PolyheadError } from "@polyhead/core";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readSafetensors, type Safetensors, type StoredTensor } from "@polyhead/core/safetensors";

/** One slot of an ONNX operator's inputs or outputs, as the index tells it. */
export interface OnnxSlot {
  readonly slot: number;
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** One case of ONNX's operator suite. The position in `inputs` and `outputs` is the operator's slot; null: not given. */
export interface OnnxCase {
  readonly case: string;
  readonly op: string;
  readonly domain: string;
  readonly opset: Readonly<Record<string, number>>;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly inputs: readonly (OnnxSlot | null)[];
  readonly outputs: readonly (OnnxSlot | null)[];
  /** Reads the tensors; a slot that was not given is undefined. */
  load(): { readonly inputs: readonly (StoredTensor | undefined)[]; readonly outputs: readonly (StoredTensor | undefined)[] };
}

/** A case of the fused-attention set: its attributes, and `in.*`, `out.*` and `grad.*` tensors. */
export interface FlashCase {
  readonly case: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  load(): Safetensors;
}

/** A training run: initial weights in Hugging Face's GPT-2 layout, and what each step saw and lost. */
export interface NanoGptRun {
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Safetensors;
  readonly trajectory: Safetensors;
  /** The text that the run was trained on. */
  readonly text: string;
}

/** A small Hugging Face model with the numbers that it must give. */
export interface HfModel {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly weights: Safetensors;
  readonly golden: Safetensors;
}

type JsonRecord = Record<string, unknown>;

function read(file: string): Buffer {
  if (existsSync(file)) return readFileSync(file);
  throw new PolyheadError("REFERENCE_MISSING", `there is no ${file}`, "point --data at the folder that holds the reference sets");
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(read(file).toString("utf8"));
  } catch (error) {
    if (error instanceof SyntaxError) throw new PolyheadError("REFERENCE_FORMAT", `${file} is not JSON: ${error.message}`, "fetch the reference data again");
    throw error;
  }
}

function readIndex(file: string): JsonRecord[] {
  const records = readJson(file);
  if (Array.isArray(records) && records.every((record) => typeof (record as JsonRecord)["case"] === "string")) return records as JsonRecord[];
  throw new PolyheadError("REFERENCE_FORMAT", `${file} is not a list of records with a 'case'`, "fetch the reference data again");
}

/** Opens a safetensors file; its path stands in every error. */
export const openSafetensors = (file: string): Safetensors => readSafetensors(read(file), file);

/** The sets below a data folder: the names of its folders. */
export const referenceSets = (data: string): string[] =>
  readdirSync(data, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();

const slots = (file: Safetensors, side: "in" | "out", list: readonly (OnnxSlot | null)[]): (StoredTensor | undefined)[] =>
  list.map((slot) => (slot === null ? undefined : file.get(`${side}.${slot.slot}.${slot.name}`)));

/**
 * The cases of `onnx-ops`, tensors unread.
 *
 * @throws PolyheadError `REFERENCE_MISSING` or `REFERENCE_FORMAT`
 */
export function onnxCases(data: string): OnnxCase[] {
  const folder = join(data, "onnx-ops");
  return readIndex(join(folder, "index.json")).map((record) => {
    const { inputs, outputs, file } = record as unknown as OnnxCase & { file: string };
    return {
      ...(record as unknown as Omit<OnnxCase, "load">),
      load: () => {
        const opened = openSafetensors(join(folder, file));
        return { inputs: slots(opened, "in", inputs), outputs: slots(opened, "out", outputs) };
      },
    };
  });
}

/** The cases of `flash-shapes`, tensors unread. */
export function flashCases(data: string): FlashCase[] {
  const folder = join(data, "flash-shapes");
  return readIndex(join(folder, "index.json")).map(({ case: name, bytes: _bytes, ...attributes }) => ({
    case: name as string,
    attributes,
    load: () => openSafetensors(join(folder, `${name as string}.safetensors`)),
  }));
}

/** The run of `train-nanogpt`, with its text from `datasets`. */
export function nanoGptRun(data: string): NanoGptRun {
  const folder = join(data, "train-nanogpt");
  return {
    config: readJson(join(folder, "config.json")) as JsonRecord,
    weights: openSafetensors(join(folder, "init_hf_gpt2.safetensors")),
    trajectory: openSafetensors(join(folder, "trajectory.safetensors")),
    text: read(join(data, "datasets", "tinyshakespeare.txt")).toString("utf8"),
  };
}

/** The models of `hf-tiny`, each read when asked for. */
export function hfModels(data: string): { readonly name: string; load(): HfModel }[] {
  const folder = join(data, "hf-tiny");
  if (!existsSync(folder)) throw new PolyheadError("REFERENCE_MISSING", `there is no ${folder}`, "point --data at the folder that holds the reference sets");
  return referenceSets(folder).map((name) => ({
    name,
    load: () => ({
      name,
      config: readJson(join(folder, name, "config.json")) as JsonRecord,
      weights: openSafetensors(join(folder, name, "model.safetensors")),
      golden: openSafetensors(join(folder, name, "golden.safetensors")),
    }),
  }));
}
