import { createLab, PolyheadError } from "@polyhead/core";
import type { Tokenizer } from "@polyhead/model";
import { loadPretrained } from "@polyhead/model/node";
import { createTokenizer, llama2cTokenizer, type Pretrained } from "@polyhead/model/pretrained";
import { transformers } from "@polyhead/presets";
import type { Engine } from "@polyhead/tensor";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import type { Options } from "./options.ts";

const lab = createLab(...transformers);
export type Loaded = Pretrained<ReturnType<typeof lab.build>>;

/** As seen from where the command was typed. */
const fromHere = (path: string): string => resolve(process.env["INIT_CWD"] ?? ".", path);

/** The model that was asked for, on the device. @throws PolyheadError what `loadPretrained` throws. */
export function load({ model, dtype, revision }: Options, engine: Engine, signal: AbortSignal): Promise<Loaded> {
  const folder = fromHere(model);
  return loadPretrained(lab, engine, existsSync(folder) ? folder : model, { dtype, signal, ...(revision !== undefined && { hub: { revision } }) });
}

/**
 * The tokenizer that was named, else the model's own.
 *
 * @throws PolyheadError `TOKENIZER_FILE` when there is none or it cannot be read, and what its readers throw.
 */
export async function tokenizerOf({ tokenizer: path }: Options, { tokenizer, spec }: Pick<Loaded, "tokenizer" | "spec">): Promise<Tokenizer> {
  if (path === undefined) {
    if (tokenizer !== undefined) return tokenizer;
    throw new PolyheadError("TOKENIZER_FILE", "the model came without a tokenizer.json", "give one with --tokenizer FILE");
  }
  const file = fromHere(path);
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new PolyheadError("TOKENIZER_FILE", `cannot read the tokenizer '${path}': ${error instanceof Error ? error.message : String(error)}`, "give the path of a tokenizer.json, or of a tokenizer.bin of llama2.c");
  });
  if (path.endsWith(".bin")) {
    const { json, config } = llama2cTokenizer(bytes, spec.vocab, path);
    return createTokenizer(json, config);
  }
  const beside = join(dirname(file), "tokenizer_config.json");
  const [json, config] = [readJson(path, bytes), existsSync(beside) ? readJson(beside, await readFile(beside)) : {}];
  return createTokenizer(json, config);
}

function readJson(path: string, bytes: Uint8Array): Record<string, unknown> {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
  } catch (error) {
    throw new PolyheadError("TOKENIZER_FILE", `'${path}' is not JSON: ${error instanceof Error ? error.message : String(error)}`, "give the path of a tokenizer.json, or of a tokenizer.bin of llama2.c");
  }
}
