// nanoGPT's sample.ts: reads a run folder's checkpoint and goes on writing.
//   node sample.ts --run runs/mine --prompt "Call me" --tokens 300 --temperature 0.8 --top-k 40
import { PolyheadError } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { generate, type DecoderModel, type GenerateOptions } from "@polyhead/model";
import { createEngine } from "@polyhead/tensor";
import { CharVocabulary, loadWeights } from "@polyhead/train";
import { openRunFolder } from "@polyhead/train/node";
import process from "node:process";
import { parseArgs } from "node:util";
import { lab } from "./lab.ts";
import { main } from "./main.ts";
import type { NanoExtra } from "./train.ts";

/** Text after `prompt`, a character at a time. @throws PolyheadError `TEXT_UNKNOWN_CHARACTER` when the model never saw one of the prompt's. */
export async function* sample(model: DecoderModel, vocabulary: CharVocabulary, prompt: string, options: GenerateOptions): AsyncGenerator<string, void, void> {
  for await (const id of generate(model, [...vocabulary.encode(prompt)], options)) yield vocabulary.decode([id]);
}

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: {
      run: { type: "string" },
      prompt: { type: "string", default: "\n" },
      tokens: { type: "string", default: "300" },
      temperature: { type: "string", default: "0.8" },
      "top-k": { type: "string" },
      seed: { type: "string", default: "1" },
    },
  });
  if (values.run === undefined) throw new PolyheadError("ARGUMENT_VALUE", "no run folder was named", "write --run FOLDER, the one that the demo or train.ts printed");
  const folder = await openRunFolder(values.run);
  const checkpoint = await folder.loadCheckpoint();
  if (checkpoint === undefined) throw new PolyheadError("RUN_FOLDER", `there is no checkpoint in '${folder.path}'`, "train first: npm run demo -- --out FOLDER");
  const gpu = await openNodeGpu();
  const model = lab.build(lab.resolve(checkpoint.info.spec), createEngine(gpu));
  loadWeights(model, checkpoint);
  const vocabulary = new CharVocabulary((checkpoint.info.extra as NanoExtra).characters);
  process.stdout.write(values.prompt);
  const options = { tokens: Number(values.tokens), temperature: Number(values.temperature), seed: Number(values.seed), ...(values["top-k"] !== undefined && { topK: Number(values["top-k"]) }) };
  for await (const piece of sample(model, vocabulary, values.prompt, options)) process.stdout.write(piece);
  process.stdout.write("\n");
  gpu.dispose();
}

await main(import.meta, run);
