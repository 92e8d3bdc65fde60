// nanoGPT's train.ts: text in, model out, a run folder that can be resumed. Run it by itself, or watch it through demo.ts:
//   node train.ts --steps 500 --out runs/mine        node train.ts --resume --out runs/mine
// (from a clone, with node's --conditions=@polyhead/source). Options are the demo's; without a probe, size auto is small.
import type { DecoderModel } from "@polyhead/model";
import { interruption, runProgram } from "@polyhead/model/node";
import { PolyheadError } from "@polyhead/core";
import type { Gpu } from "@polyhead/gpu";
import { tuneFlash } from "@polyhead/attn-flash/kernel";
import { openNodeGpu, tuneOnDisk } from "@polyhead/gpu-node";
import { createEngine, tuneMatmul, type Engine } from "@polyhead/tensor";
import { bigramLoss, CharVocabulary, consecutiveWindows, randomWindows, resume as restore, saveCheckpoint, splitTokens, Trainer, warmupCosine, type Checkpoint, type TrainRecord } from "@polyhead/train";
import { openRunFolder, type RunFolder } from "@polyhead/train/node";
import { join, resolve } from "node:path";
import process from "node:process";
import { configure, help, modelSpec, readOptions, type NanoConfig, type Options, type Size } from "./config.ts";
import { lab } from "./lab.ts";
import { loadBook, type Book } from "./text.ts";

/** What a checkpoint of this example carries beside the weights. */
export interface NanoExtra {
  readonly config: NanoConfig;
  readonly characters: readonly string[];
  readonly title: string;
}

/** Everything that a run is made of. */
export interface Run {
  readonly config: NanoConfig;
  readonly title: string;
  readonly model: DecoderModel;
  readonly trainer: Trainer;
  readonly vocabulary: CharVocabulary;
  /** Validation loss of a bigram model of the same text. */
  readonly bigram: number;
}

/** Composes the model of `config` and sets it before `book`; with a checkpoint, where that run stopped. */
export function createRun(book: Book, config: NanoConfig, engine: Engine, checkpoint?: Checkpoint): Run {
  const vocabulary = CharVocabulary.of(book.text);
  const { train, validation } = splitTokens(vocabulary.encode(book.text));
  const { context, batch, accumulate, rate, steps, seed } = config;
  const model = lab.build(modelSpec(config, vocabulary.size), engine);
  const trainer = new Trainer({
    model,
    data: randomWindows(train, { batch, context, seed }),
    validation: consecutiveWindows(validation, context, Math.max(1, Math.floor(8192 / context))),
    evaluationRows: batch,
    schedule: warmupCosine({ peak: rate, warmup: Math.min(100, Math.ceil(steps / 20)), total: steps }),
    optimizer: { beta1: 0.9, beta2: 0.99, weightDecay: 0.1, clip: 1 },
    accumulate,
    reportEvery: 10,
    evaluateEvery: Math.max(20, Math.ceil(steps / 8)),
  });
  if (checkpoint !== undefined) restore(trainer, checkpoint);
  return { config, title: book.title, model, trainer, vocabulary, bigram: bigramLoss(train, validation, vocabulary.size) };
}

/** Trains to the end, or until `signal`: logs every record, and leaves a checkpoint at each evaluation and at the end. */
export async function* trainRun(run: Run, folder: RunFolder, signal?: AbortSignal): AsyncGenerator<TrainRecord, void, void> {
  const { trainer, config, vocabulary, title } = run;
  const extra: NanoExtra = { config, characters: vocabulary.characters, title };
  const save = async (): Promise<void> => { await folder.saveCheckpoint(await saveCheckpoint(trainer, extra)); };
  let waiting: TrainRecord[] = [];
  for await (const record of trainer.run(config.steps, signal)) {
    waiting.push(record);
    if (record.step === trainer.step) {
      await folder.log(waiting);
      waiting = [];
    }
    if (record.kind === "evaluation") await save();
    yield record;
  }
  await save();
}

/** The run that a checkpoint tells of, ready to go on. @throws PolyheadError `RUN_TEXT` when the text is not the one it was trained on. */
export async function resumeRun(book: Book, checkpoint: Checkpoint, folder: RunFolder, engine: Engine): Promise<Run> {
  const extra = checkpoint.info.extra as NanoExtra;
  if (CharVocabulary.of(book.text).characters.join("") !== extra.characters.join("")) {
    throw new PolyheadError("RUN_TEXT", `the run in '${folder.path}' was trained on '${extra.title}', whose characters differ from those of '${book.title}'`, "give the same --text again");
  }
  await folder.rewindLog(checkpoint.info.step);
  return createRun(book, extra.config, engine, checkpoint);
}

/** The run that a command line asks for: a resumed one, or a new one of what `fit` finds to suit the adapter. */
export async function startRun(options: Options, book: Book, folder: RunFolder, gpu: Gpu, fit: (engine: Engine) => Promise<{ readonly size: Size; readonly steps: number }>): Promise<Run> {
  const checkpoint = await folder.loadCheckpoint().catch((error: unknown) => {
    if (options.resume) throw error;
    return undefined; // a new run writes over a damaged one
  });
  if (!options.resume) {
    const seed = options.numbers.seed ?? 1337;
    const engine = createEngine(gpu, { seed });
    const { size, steps } = await fit(engine);
    await folder.rewindLog(0);
    return createRun(book, configure(options, size, steps), engine);
  }
  if (checkpoint === undefined) throw new PolyheadError("RUN_FOLDER", `there is no checkpoint in '${folder.path}' to resume`, "name the run's folder with --out, or leave --resume out");
  const run = await resumeRun(book, checkpoint, folder, createEngine(gpu, { seed: (checkpoint.info.extra as NanoExtra).config.seed }));
  console.log(`resuming  '${folder.path}' at step ${run.trainer.step} of ${run.config.steps}`);
  if (options.model.length > 0) console.log(`note      a resumed run keeps its parts and numbers: ${options.model.map((name) => `--${name}`).join(", ")} changed nothing`);
  return run;
}

/** Where a run is kept: --out as seen from where the command was typed, or a folder named by the time. */
export const runPath = ({ out }: Options): string => resolve(process.env["INIT_CWD"] ?? ".", out ?? join("runs", new Date().toISOString().slice(0, 19).replaceAll(":", "-")));

/** Spends one update of a run, and then the run, to find the fastest kernels of its matrix products. */
async function tune({ trainer, model }: Run): Promise<void> {
  for await (const { step } of trainer.run(1)) if (step === 1) break;
  await tuneMatmul(model.engine);
  await tuneFlash(model.engine);
  trainer.dispose();
  model.dispose();
}

async function train(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    console.log(help());
    return;
  }
  const book = loadBook(options.text);
  const folder = await openRunFolder(runPath(options));
  const gpu = await openNodeGpu();
  try {
    tuneOnDisk(gpu);
    const { size } = options.parts;
    const fit = { size: size === "auto" ? "small" : (size as Size), steps: 1000 };
    const run = await startRun(options, book, folder, gpu, async (engine) => {
      await tune(createRun(book, configure(options, fit.size, fit.steps), engine));
      return fit;
    });
    const { trainer, config, bigram } = run;
    for await (const record of trainRun(run, folder, interruption())) {
      if (record.kind === "evaluation") console.log(`step ${record.step}: validation loss ${record.loss.toFixed(4)} (a bigram model: ${bigram.toFixed(4)})`);
      else if (record.step % 10 === 0 || record.step === config.steps) console.log(`step ${record.step}: loss ${record.loss.toFixed(4)} (${Math.round(record.tokensPerSecond).toLocaleString("en")} tokens/s)`);
    }
    console.log(`${trainer.step < config.steps ? `stopped at step ${trainer.step} of ${config.steps}; go on with --resume. ` : ""}checkpoint and log: ${folder.path}`);
  } finally {
    gpu.dispose();
  }
}

await runProgram(import.meta, train);
