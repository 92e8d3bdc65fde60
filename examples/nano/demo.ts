// npm run demo: composes a small transformer, trains it on a book while you watch, and tells what it ran on.
import { openNodeGpu, tuneOnDisk } from "@polyhead/gpu-node";
import { profileTable, type Gpu } from "@polyhead/gpu";
import { interruption, runProgram } from "@polyhead/model/node";
import type { TrainRecord } from "@polyhead/train";
import { openRunFolder, type RunFolder } from "@polyhead/train/node";
import process from "node:process";
import { help, readOptions, type Options } from "./config.ts";
import { probe } from "./probe.ts";
import { progressBar } from "./progress.ts";
import { reportHtml, type Sample } from "./report.ts";
import { sample } from "./sample.ts";
import { summary } from "./summary.ts";
import { loadBook, type Book } from "./text.ts";
import { runPath, startRun, trainRun } from "./train.ts";

async function demo(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(help());
    return;
  }
  const book = loadBook(options.text);
  const folder = await openRunFolder(runPath(options));
  const gpu = await openNodeGpu();
  try {
    await show(options, book, folder, gpu);
  } finally {
    gpu.dispose();
  }
}

/** Trains before your eyes, and tells. */
async function show(options: Options, book: Book, folder: RunFolder, gpu: Gpu): Promise<void> {
  tuneOnDisk(gpu);
  console.log(`adapter   ${gpu.info.description || gpu.info.key}`);
  const run = await startRun(options, book, folder, gpu, (engine) => probe(book, options, engine));
  const { config, model, trainer, vocabulary } = run;
  console.log(`text      ${book.title}: ${book.text.length.toLocaleString("en")} characters, ${vocabulary.size} different ones`);
  console.log(model.explain());

  const signal = interruption();
  // A text without line breaks has its own first letter to begin with.
  const prompt = vocabulary.characters.includes("\n") ? "\n" : vocabulary.characters[0]!;
  const records: TrainRecord[] = await folder.readLog();
  const samples: Sample[] = [];
  const started = performance.now();
  const bar = progressBar(config.steps, trainer.step);
  if (options.profile) gpu.startProfile();
  for await (const record of trainRun(run, folder, signal)) {
    records.push(record);
    bar.update(record);
    if (record.kind !== "evaluation") continue;
    let text = "";
    for await (const piece of sample(model, vocabulary, prompt, { tokens: 120, temperature: 0.8, seed: 1 })) text += piece;
    samples.push({ step: record.step, loss: record.loss, text });
    bar.say(`\nstep ${record.step}, validation loss ${record.loss.toFixed(3)} nats a character (a bigram model: ${run.bigram.toFixed(3)})\n${text.trim().replaceAll(/^/gm, "  | ")}\n`);
  }
  bar.stop();
  if (options.profile) console.log(profileTable(await gpu.stopProfile()));
  const told = { adapter: gpu.info.description || gpu.info.key, seconds: (performance.now() - started) / 1000, records, samples, run, stats: gpu.stats, folder: folder.path };
  await folder.write("report.html", reportHtml(told));
  if (signal.aborted) console.log(`\nstopped at step ${trainer.step}; go on with: npm run demo -- --resume --out ${quote(folder.path)}${options.text === undefined ? "" : ` --text ${quote(options.text)}`}`);
  console.log(summary(told));
}

/** As a shell wants it. */
const quote = (path: string): string => (/^[\w./-]+$/.test(path) ? path : JSON.stringify(path));

await runProgram(import.meta, demo);
