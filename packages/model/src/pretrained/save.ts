import { PolyheadError, type ResolvedSpec } from "@polyhead/core";
import { streamSafetensors, type TensorToDescribe } from "@polyhead/core/safetensors";
import type { Parameter } from "../parameters.ts";
import type { Family, HfConfig, Recipe, WeightMap } from "./family.ts";
import { dismantle } from "./piece.ts";
import { INDEX, WEIGHTS } from "./tensor-store.ts";

/** Where files go. A file is there as a whole, or not at all. */
export interface FileSink {
  /** Writes a file of these pieces, in place of one of the same name. */
  write(name: string, pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>;
}

export interface SaveOptions {
  /** What weights are stored as; default F32. */
  readonly dtype?: "F32" | "F16" | "BF16";
  /** Bytes of weights a file at most, where no tensor alone is larger; default 5 GB, as in Hugging Face's. */
  readonly shardBytes?: number;
}

/** A model that can be saved: one that `loadPretrained` gave, or one of your own with a family and a config that describe it. */
export interface Saveable {
  readonly model: { readonly parameters: { readonly all: readonly Parameter[] } };
  readonly spec: ResolvedSpec;
  readonly family: Family;
  readonly config: HfConfig;
}

const TORCH = { F32: "float32", F16: "float16", BF16: "bfloat16" } as const;
const BYTES = { F32: 4, F16: 2, BF16: 2 } as const;
/** From here on a number rounds to infinity in f16. */
const BEYOND_HALF = 65_520;

/** The tensors that are complete once a parameter has been taken apart, for each parameter in turn. */
function completedBy(weights: WeightMap): ReadonlyMap<string, readonly { readonly name: string; readonly shape: readonly number[] }[]> {
  const last = new Map<string, { readonly parameter: string; readonly shape: readonly number[] }>();
  for (const [parameter, recipe] of weights) for (const { tensor, shape } of recipe) last.set(tensor, { parameter, shape });
  return new Map([...weights.keys()].map((parameter) => [parameter, [...last].filter(([, end]) => end.parameter === parameter).map(([name, { shape }]) => ({ name, shape }))]));
}

/** Cuts a list of tensors so that no part is larger than `most` bytes. */
function shards<T extends { readonly bytes: number }>(tensors: readonly T[], most: number): T[][] {
  const parts: T[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    if (parts.length === 0 || tensor.bytes > room) {
      parts.push([]);
      room = most;
    }
    parts.at(-1)!.push(tensor);
    room -= tensor.bytes;
  }
  return parts;
}

const json = (value: unknown): Uint8Array[] => [new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`)];

/**
 * Writes a model in Hugging Face's layout: `config.json`, and `model.safetensors` or shards with their index, under the names that
 * transformers gives them; tensors that are copies of others are left out. The host holds the tensors of one parameter at a time.
 *
 * @throws PolyheadError `PRETRAINED_FAMILY` when the family's map names a parameter that the model lacks, `PRETRAINED_PIECE` when one
 * has another size, `PRETRAINED_RANGE` for a weight beyond f16, and what the sink throws.
 */
export async function savePretrained({ model, spec, family, config }: Saveable, sink: FileSink, { dtype = "F32", shardBytes = 5e9 }: SaveOptions = {}): Promise<void> {
  const weights = family.weights(spec, config);
  const parameters = new Map(model.parameters.all.map((parameter) => [parameter.name, parameter]));
  const completed = completedBy(weights);
  const tensors = [...completed.values()].flat().map(({ name, shape }) => ({ name, shape, bytes: BYTES[dtype] * shape.reduce((product, n) => product * n, 1) }));
  const next = tensorsOf([...weights], parameters, completed);

  const parts = shards(tensors, shardBytes);
  const nameOf = (i: number): string => (parts.length === 1 ? WEIGHTS : `model-${String(i + 1).padStart(5, "0")}-of-${String(parts.length).padStart(5, "0")}.safetensors`);
  for (const [i, part] of parts.entries()) {
    const described = new Map<string, TensorToDescribe>(part.map(({ name, shape }) => [name, { dtype, shape }]));
    await sink.write(nameOf(i), streamSafetensors(described, async (name) => checked(name, await next(), dtype), { format: "pt" }));
  }
  if (parts.length > 1) {
    const map = parts.flatMap((part, i) => part.map(({ name }) => [name, nameOf(i)] as const));
    await sink.write(INDEX, json({ metadata: { total_size: tensors.reduce((sum, { bytes }) => sum + bytes, 0) }, weight_map: Object.fromEntries(map) }));
  }
  // Last, so that a folder with a config has its weights.
  await sink.write("config.json", json({ ...config, torch_dtype: TORCH[dtype] }));
}

/** Gives the tensors one after the other, in the order of `completed`, reading parameters from the device as they are needed. */
function tensorsOf(weights: readonly (readonly [string, Recipe])[], parameters: ReadonlyMap<string, Parameter>, completed: ReadonlyMap<string, readonly { readonly name: string }[]>): () => Promise<Float32Array> {
  const open = new Map<string, Float32Array>();
  const ready: Float32Array[] = [];
  let at = 0;
  return async () => {
    while (ready.length === 0) {
      const [name, recipe] = weights[at++]!;
      const parameter = parameters.get(name);
      if (parameter === undefined) throw new PolyheadError("PRETRAINED_FAMILY", `the family's weight map names '${name}', which the model does not have`, "save a model with the family and the config that it was made of");
      dismantle(recipe, (await parameter.tensor.read()) as Float32Array, open);
      for (const { name: tensor } of completed.get(name)!) {
        ready.push(open.get(tensor)!);
        open.delete(tensor);
      }
    }
    return ready.shift()!;
  };
}

function checked(name: string, values: Float32Array, dtype: "F32" | "F16" | "BF16"): Float32Array {
  const at = dtype === "F16" ? values.findIndex((value) => Number.isFinite(value) && Math.abs(value) >= BEYOND_HALF) : -1;
  if (at >= 0) throw new PolyheadError("PRETRAINED_RANGE", `value ${at} of '${name}' is ${values[at]!}, beyond the range of f16`, "save in BF16 or F32");
  return values;
}

/** Files kept in memory, by name. */
export function memorySink(): FileSink & { readonly files: ReadonlyMap<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return {
    files,
    write: async (name, pieces) => {
      const parts: Uint8Array<ArrayBuffer>[] = [];
      for await (const piece of pieces) parts.push(new Uint8Array(piece));
      files.set(name, new Uint8Array(await new Blob(parts).arrayBuffer()));
    },
  };
}
