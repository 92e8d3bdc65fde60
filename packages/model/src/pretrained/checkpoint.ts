import { PolyheadError } from "@polyhead/core";
import type { HfConfig } from "./family.ts";
import { CONFIG_BYTES, readJson, readJsonIfThere, TABLE_BYTES } from "./json.ts";
import { llama2cTokenizer } from "./llama2c-tokenizer.ts";
import { readLlama2c } from "./llama2c.ts";
import { fileOf, readText, type FileSource } from "./source.ts";
import { openWeights, type TensorStore } from "./tensor-store.ts";

type Json = Readonly<Record<string, unknown>>;

/** The files of a model, described and opened: headers have been read and checked, weights have not been read. */
export interface Checkpoint {
  readonly config: HfConfig;
  readonly store: TensorStore;
  /** Undefined where the model has none. */
  readonly generationConfig?: Json;
  /** The content of `tokenizer.json` and `tokenizer_config.json`, undefined where the model has no tokenizer. */
  readonly tokenizer?: { readonly json: Json; readonly config: Json };
  /** The content of `chat_template.jinja`. */
  readonly chatTemplate?: string;
}

/** Files of llama2.c: one model, and beside it perhaps its tokenizer. */
async function legacyFiles(source: FileSource): Promise<{ readonly model: string; readonly tokenizer?: string } | undefined> {
  const names = ((await source.list?.()) ?? []).filter((name) => name.endsWith(".bin"));
  const isTokenizer = (name: string): boolean => /^tok[^/]*\.bin$/.test(name);
  const [models, tokenizers] = [names.filter((name) => !isTokenizer(name)), names.filter(isTokenizer)];
  if (models.length > 1 || tokenizers.length > 1) throw new PolyheadError("PRETRAINED_FILES", `${source.label} has no config.json and several files that may be llama2.c's: ${names.join(", ")}`, "keep one model and one tokenizer in a folder");
  const [model] = models;
  const [tokenizer] = tokenizers;
  return model === undefined ? undefined : { model, ...(tokenizer !== undefined && { tokenizer }) };
}

async function openLegacy(source: FileSource, { model, tokenizer }: { readonly model: string; readonly tokenizer?: string }): Promise<Checkpoint> {
  const { config, store } = await readLlama2c(await fileOf(source, model));
  if (tokenizer === undefined) return { config, store };
  const file = await fileOf(source, tokenizer);
  if (file.size > TABLE_BYTES) throw new PolyheadError("SOURCE_SIZE", `${file.label} has ${file.size} bytes; at most ${TABLE_BYTES} are read`, "check that it is the file it is called after");
  return { config, store, tokenizer: llama2cTokenizer(await file.read(0, file.size), config["vocab_size"] as number, file.label) };
}

/**
 * Opens a model's folder: Hugging Face's layout (`config.json`, `model.safetensors` or shards with an index, and where they are there
 * `generation_config.json`, `tokenizer.json`, `tokenizer_config.json`, `chat_template.jinja`), or a legacy file of llama2.c.
 *
 * @throws PolyheadError `PRETRAINED_FILES`, `PRETRAINED_JSON`, `PRETRAINED_INDEX`, `SAFETENSORS_*`, `LLAMA2C_*`, `SOURCE_*`
 */
export async function openCheckpoint(source: FileSource): Promise<Checkpoint> {
  if (!(await source.has("config.json"))) {
    const legacy = await legacyFiles(source);
    if (legacy !== undefined) return openLegacy(source, legacy);
    throw new PolyheadError("PRETRAINED_FILES", `${source.label} has no config.json, nor a .bin file of llama2.c`, "give a folder in the layout of Hugging Face's save_pretrained, or one with a llama2.c model");
  }
  const config = await readJson(source, "config.json", CONFIG_BYTES);
  const store = await openWeights(source);
  const generationConfig = await readJsonIfThere(source, "generation_config.json", CONFIG_BYTES);
  const json = await readJsonIfThere(source, "tokenizer.json", TABLE_BYTES);
  const tokenizerConfig = await readJsonIfThere(source, "tokenizer_config.json", CONFIG_BYTES);
  const chatTemplate = (await source.has("chat_template.jinja")) ? await readText(source, "chat_template.jinja", CONFIG_BYTES) : undefined;
  return {
    config, store,
    ...(generationConfig !== undefined && { generationConfig }),
    ...(json !== undefined && { tokenizer: { json, config: tokenizerConfig ?? {} } }),
    ...(chatTemplate !== undefined && { chatTemplate }),
  };
}
