// nanoGPT's sample.ts: reads a run folder's checkpoint and goes on writing.
//   node sample.ts --run runs/mine --prompt "Call me" --tokens 300 --temperature 0.8 --top-k 40
import { PolyheadError } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { generate, type DecoderModel, type GenerateOptions } from "@polyhead/model";
import { readArguments, readNumber, runProgram } from "@polyhead/model/node";
import { createEngine } from "@polyhead/tensor";
import { CharVocabulary, loadWeights } from "@polyhead/train";
import { openRunFolder } from "@polyhead/train/node";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { lab } from "./lab.ts";
import type { NanoExtra } from "./train.ts";

/** Text after `prompt`, a character at a time. @throws PolyheadError `TEXT_UNKNOWN_CHARACTER` when the model never saw one of the prompt's. */
export async function* sample(model: DecoderModel, vocabulary: CharVocabulary, prompt: string, options: GenerateOptions): AsyncGenerator<string, void, void> {
  for await (const id of generate(model, [...vocabulary.encode(prompt)], options)) yield vocabulary.decode([id]);
}

async function run(): Promise<void> {
  const { words } = readArguments(process.argv.slice(2), ["run", "prompt", "tokens", "temperature", "top-k", "seed"]);
  const count = { least: 1, whole: true };
  const options: GenerateOptions = {
    tokens: readNumber("tokens", words["tokens"] ?? "300", count, "number of characters to write"),
    temperature: readNumber("temperature", words["temperature"] ?? "0.8", { least: 0 }, "divisor of the logits: 0 always takes the likeliest character"),
    seed: readNumber("seed", words["seed"] ?? "1", { least: 0, below: 2 ** 32, whole: true }, "seed of the draws"),
    ...(words["top-k"] !== undefined && { topK: readNumber("top-k", words["top-k"], count, "number of likeliest characters to draw among") }),
  };
  if (words["run"] === undefined) throw new PolyheadError("ARGUMENT_VALUE", "no run folder was named", "write --run FOLDER, the one that the demo or train.ts printed");
  const path = resolve(process.env["INIT_CWD"] ?? ".", words["run"]);
  // Looked at before it is opened as a run folder, which would make it.
  const folder = existsSync(path) ? await openRunFolder(path) : undefined;
  const checkpoint = await folder?.loadCheckpoint();
  if (checkpoint === undefined) throw new PolyheadError("RUN_FOLDER", `there is no checkpoint in '${path}'`, "train first: npm run demo -- --out FOLDER");
  const vocabulary = new CharVocabulary((checkpoint.info.extra as NanoExtra).characters);
  const prompt = words["prompt"] ?? "\n";
  vocabulary.encode(prompt); // a character it never saw is better told before a device is opened
  const gpu = await openNodeGpu();
  try {
    const model = lab.build(lab.resolve(checkpoint.info.spec), createEngine(gpu));
    loadWeights(model, checkpoint);
    process.stdout.write(prompt);
    for await (const piece of sample(model, vocabulary, prompt, options)) process.stdout.write(piece);
    process.stdout.write("\n");
  } finally {
    gpu.dispose();
  }
}

await runProgram(import.meta, run);
