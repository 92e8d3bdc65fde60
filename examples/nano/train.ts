// nanoGPT's train.ts: text in, model out, a run folder that can be resumed. Run it by itself, or watch it through demo.ts:
//   node train.ts --steps 500 --out runs/mine        node train.ts --resume --out runs/mine
import type { DecoderModel } from "@polyhead/model";
import { PolyheadError } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import { bigramLoss, CharVocabulary, consecutiveWindows, randomWindows, resume, saveCheckpoint, splitTokens, Trainer, warmupCosine, type Checkpoint, type TrainRecord } from "@polyhead/train";
import type { RunFolder } from "@polyhead/train/node";
import { modelSpec, type NanoConfig } from "./config.ts";
import { lab } from "./lab.ts";
import type { Book } from "./text.ts";

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
  if (checkpoint !== undefined) resume(trainer, checkpoint);
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
