import { PolyheadError, suggest } from "@polyhead/core";
import type { GenerateTextOptions } from "@polyhead/model";
import { GENERATION_WORDS, generationOptions, readArguments } from "@polyhead/model/node";

const WORDS = {
  model: "a folder in Hugging Face's layout, one with a .bin file of llama2.c, or an id of the hub such as owner/name",
  revision: "branch, tag or commit, where the model is on the hub",
  prompt: "text to go on from; for an encoder-decoder, the text that is read",
  dtype: "f32 (default) or f16: how weight matrices are stored on the device",
  tokenizer: "a tokenizer.json or a tokenizer.bin of llama2.c, where the model's folder has none",
} as const;
const FLAGS = {
  chat: "the prompt is a message: the model's chat template is put around it",
  json: "prints one JSON object instead of the text as it comes",
  help: "this page",
} as const;

/** What the command line asks for. */
export interface Options {
  readonly model: string;
  readonly prompt: string;
  readonly revision: string | undefined;
  readonly dtype: "f32" | "f16";
  readonly tokenizer: string | undefined;
  readonly chat: boolean;
  readonly json: boolean;
  /** As far as they were given. */
  readonly generation: Partial<GenerateTextOptions>;
}

/**
 * Reads a command line; undefined where it asks for help.
 *
 * @throws PolyheadError `ARGUMENT_UNKNOWN`, `ARGUMENT_VALUE`, `ARGUMENT_NUMBER`, `ARGUMENT_CHOICE`.
 */
export function readOptions(args: readonly string[]): Options | undefined {
  const given = readArguments(args, [...Object.keys(WORDS), ...Object.keys(GENERATION_WORDS)], Object.keys(FLAGS));
  const { words, flags } = given;
  if (flags.has("help")) return undefined;
  const { model, prompt, revision, tokenizer, dtype = "f32" } = words;
  if (model === undefined) throw new PolyheadError("ARGUMENT_VALUE", "no model was named", "write --model FOLDER, or --model OWNER/NAME for one on the hub; see --help");
  if (prompt === undefined) throw new PolyheadError("ARGUMENT_VALUE", "there is no prompt", "write --prompt TEXT; see --help");
  if (dtype !== "f32" && dtype !== "f16") throw new PolyheadError("ARGUMENT_CHOICE", `--dtype is '${dtype}'; expected f32 or f16`, suggest(dtype, ["f32", "f16"]));
  return { model, prompt, revision, tokenizer, dtype, chat: flags.has("chat"), json: flags.has("json"), generation: generationOptions(given) };
}

export function help(): string {
  const lines = (docs: Readonly<Record<string, string>>): string[] => Object.entries(docs).map(([name, doc]) => `  --${name.padEnd(19)} ${doc}`);
  return [
    "npm run generate -- --model FOLDER|ID --prompt TEXT [options]   loads a model and goes on writing",
    "",
    ...lines(WORDS),
    "",
    "choosing tokens (default: what the model's generation_config.json says, else always the likeliest):",
    ...lines(GENERATION_WORDS),
    "",
    ...lines(FLAGS),
    "",
    "The text goes to stdout, everything else to stderr. Ctrl-C ends the text; a second one ends at once.",
  ].join("\n");
}
