import { PolyheadError } from "@polyhead/core";
import type { GenerateTextOptions } from "@polyhead/model";
import { GENERATION_WORDS, generationOptions, readArguments, readNumber } from "@polyhead/model/node";

/** A program's task: to load a model, or to train one of toy size; then to go on with a prompt. */
export interface ToyArguments {
  /** A folder or an id of the hub; undefined where a model is trained. */
  readonly model: string | undefined;
  /** A file with the tokenizer of the model. */
  readonly tokenizer: string | undefined;
  /** A file with the text to train on. */
  readonly text: string | undefined;
  /** Updates of a training. */
  readonly steps: number;
  readonly prompt: string;
  readonly generation: Partial<GenerateTextOptions>;
}

/**
 * Reads `--model FOLDER|ID [--tokenizer FILE]` or `--train [--text FILE] [--steps N]`, `--prompt TEXT` and the options of generation.
 *
 * @param defaults  updates and prompt where the command line gives none
 * @throws PolyheadError `ARGUMENT_UNKNOWN`, `ARGUMENT_VALUE`, `ARGUMENT_NUMBER`
 */
export function readToyArguments(args: readonly string[], defaults: { readonly steps: number; readonly prompt: string }): ToyArguments {
  const given = readArguments(args, ["model", "tokenizer", "text", "steps", "prompt", ...Object.keys(GENERATION_WORDS)], ["train"]);
  const { model, tokenizer, text, steps = String(defaults.steps), prompt = defaults.prompt } = given.words;
  if (given.flags.has("train") === (model !== undefined)) throw new PolyheadError("ARGUMENT_VALUE", model === undefined ? "nothing says what to load or train" : "--train and --model exclude each other", "write --model FOLDER, --model OWNER/NAME, or --train alone");
  return { model, tokenizer, text, steps: readNumber("steps", steps, { least: 1, whole: true }, "number of updates"), prompt, generation: generationOptions(given) };
}
