import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { PolyheadError } from "@polyhead/core";
import { readJson, TABLE_BYTES } from "../pretrained/json.ts";
import { llama2cTokenizer } from "../pretrained/llama2c-tokenizer.ts";
import type { Pretrained } from "../pretrained/load.ts";
import { createTokenizer } from "../pretrained/tokenizer.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { folderSource } from "./folder-source.ts";

/**
 * A tokenizer from a file: a `tokenizer.json`, with the `tokenizer_config.json` beside it where there is one, or a `.bin` file of llama2.c.
 *
 * @param vocab  ids of the model that it is for, which a `.bin` file does not tell
 * @throws PolyheadError `TOKENIZER_FILE` when there is no such file, `PRETRAINED_TOKENIZER`, `PRETRAINED_JSON`, `LLAMA2C_TOKENIZER`.
 */
export async function readTokenizer(path: string, vocab: number): Promise<Tokenizer> {
  if (!existsSync(path)) throw new PolyheadError("TOKENIZER_FILE", `there is no file '${path}'`, "give the path of a tokenizer.json, or of a tokenizer.bin of llama2.c");
  if (path.endsWith(".bin")) {
    const { json, config } = llama2cTokenizer(await readFile(path), vocab, path);
    return createTokenizer(json, config);
  }
  const source = await folderSource(dirname(path));
  const config = (await source.has("tokenizer_config.json")) ? await readJson(source, "tokenizer_config.json", TABLE_BYTES) : {};
  return createTokenizer(await readJson(source, basename(path), TABLE_BYTES), config);
}

/**
 * The tokenizer that came with a model, or the one in a file that the caller names.
 *
 * @throws PolyheadError `TOKENIZER_FILE` when there is none, and what `readTokenizer` throws.
 */
export async function tokenizerOf({ tokenizer, spec }: Pick<Pretrained<unknown>, "tokenizer" | "spec">, path?: string): Promise<Tokenizer> {
  if (path !== undefined) return readTokenizer(path, spec.vocab);
  if (tokenizer === undefined) throw new PolyheadError("TOKENIZER_FILE", "the model came without a tokenizer.json", "name a file with --tokenizer");
  return tokenizer;
}
