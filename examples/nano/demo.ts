// npm run demo: composes a small transformer, trains it on a book while you watch, and tells what it ran on.
import { openNodeGpu, tuneOnDisk } from "@polyhead/gpu-node";
import { profileTable } from "@polyhead/gpu";
import { createEngine } from "@polyhead/tensor";
import type { TrainRecord } from "@polyhead/train";
import { openRunFolder } from "@polyhead/train/node";
import { join, resolve } from "node:path";
import process from "node:process";
import { configure, help, readOptions } from "./config.ts";
import { main } from "./main.ts";
import { probe } from "./probe.ts";
import { progressBar } from "./progress.ts";
import { reportHtml, type Sample } from "./report.ts";
import { sample } from "./sample.ts";
import { summary } from "./summary.ts";
import { loadBook } from "./text.ts";
import { createRun, resumeRun, trainRun, type Run } from "./train.ts";

async function demo(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(help());
    return;
  }
  const book = loadBook(options.text);
  const out = resolve(process.env["INIT_CWD"] ?? ".", options.out ?? join("runs", new Date().toISOString().slice(0, 19).replaceAll(":", "-")));
  const folder = await openRunFolder(out);
  const gpu = await openNodeGpu();
  tuneOnDisk(gpu);
  console.log(`adapter   ${gpu.info.description || gpu.info.key}`);
  const engine = createEngine(gpu, { seed: options.numbers.seed ?? 1337 });

  const checkpoint = options.resume ? await folder.loadCheckpoint() : undefined;
  let run: Run;
  if (checkpoint === undefined) {
    const fit = await probe(book, options, engine);
    run = createRun(book, configure(options, fit.size, fit.steps), engine);
  } else {
    run = await resumeRun(book, checkpoint, folder, engine);
    console.log(`resuming  '${out}' at step ${run.trainer.step}`);
  }
  const { config, model, trainer, vocabulary } = run;
  console.log(`text      ${book.title}: ${book.text.length.toLocaleString("en")} characters, ${vocabulary.size} different ones`);
  console.log(model.explain());

  // Ctrl-C ends the update at hand and leaves a checkpoint to go on from; a second one ends at once.
  const stop = new AbortController();
  process.once("SIGINT", () => { stop.abort(); });

  const records: TrainRecord[] = await folder.readLog();
  const samples: Sample[] = [];
  const started = performance.now();
  const bar = progressBar(config.steps, trainer.step);
  if (options.profile) gpu.startProfile();
  for await (const record of trainRun(run, folder, stop.signal)) {
    records.push(record);
    bar.update(record);
    if (record.kind !== "evaluation") continue;
    let text = "";
    for await (const piece of sample(model, vocabulary, "\n", { tokens: 120, temperature: 0.8, seed: 1 })) text += piece;
    samples.push({ step: record.step, loss: record.loss, text });
    bar.say(`\nstep ${record.step}, validation loss ${record.loss.toFixed(3)} nats a character (a bigram model: ${run.bigram.toFixed(3)})\n${text.trim().replaceAll(/^/gm, "  | ")}\n`);
  }
  bar.stop();
  if (options.profile) console.log(profileTable(await gpu.stopProfile()));
  const told = { adapter: gpu.info.description || gpu.info.key, seconds: (performance.now() - started) / 1000, records, samples, run, stats: gpu.stats, folder: out };
  await folder.write("report.html", reportHtml(told));
  if (stop.signal.aborted) console.log(`\nstopped at step ${trainer.step}; go on with: npm run demo -- --resume --out ${out}${options.text === undefined ? "" : ` --text ${options.text}`}`);
  console.log(summary(told));
  gpu.dispose();
}

await main(import.meta, demo);
