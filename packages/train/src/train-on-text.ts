import type { DecoderModel, Tokenizer } from "@polyhead/model";
import { consecutiveWindows, randomWindows } from "./batches.ts";
import { charTokenizer } from "./char-tokenizer.ts";
import { warmupCosine } from "./schedule.ts";
import { bigramLoss, CharVocabulary, splitTokens } from "./text.ts";
import { Trainer, type TrainRecord } from "./trainer.ts";

export interface TextTrainingOptions {
  /** Makes the model, given the number of different characters. Its context is the length of the windows. */
  readonly build: (vocab: number) => DecoderModel;
  /** Updates. */
  readonly steps: number;
  /** Windows of an update. Default 8. */
  readonly batch?: number;
  /** Peak learning rate. Default 3e-3. */
  readonly rate?: number;
  /** See `TrainerOptions`. */
  readonly expertSpeed?: number;
  /** Updates between two reports; default 10. */
  readonly reportEvery?: number;
  /** Seed of the windows; default 1. */
  readonly seed?: number;
  /** Hears every record as it comes. */
  readonly onRecord?: (record: TrainRecord) => void;
  /** Ends the training after the update at hand. */
  readonly signal?: AbortSignal;
}

/** A model that has been trained, and how well. */
export interface TrainedOnText {
  readonly model: DecoderModel;
  readonly tokenizer: Tokenizer;
  /** Mean cross-entropy of the last tenth of the text, which the model has not seen, nats a character; NaN where training was broken off. */
  readonly loss: number;
  /** The same of a bigram model: the bar to clear. */
  readonly bigram: number;
}

/**
 * Trains a model of toy size on the characters of a text, with settings that suit toys; a `Trainer` of your own takes any others.
 *
 * @throws PolyheadError `DATA_TOO_SHORT` when a tenth of the text does not hold one window, and what `Trainer.run` throws.
 */
export async function trainOnText(text: string, { build, steps, batch = 8, rate = 3e-3, reportEvery = 10, seed = 1, expertSpeed, onRecord, signal }: TextTrainingOptions): Promise<TrainedOnText> {
  const vocabulary = CharVocabulary.of(text);
  const { train, validation } = splitTokens(vocabulary.encode(text));
  const model = build(vocabulary.size);
  const { context } = model.spec;
  const trainer = new Trainer({
    model,
    data: randomWindows(train, { batch, context, seed }),
    validation: consecutiveWindows(validation, context, Math.max(1, Math.floor(4096 / context))),
    schedule: warmupCosine({ peak: rate, warmup: Math.ceil(steps / 20), total: steps }),
    optimizer: { beta2: 0.99, weightDecay: 0.1, clip: 1 },
    reportEvery,
    ...(expertSpeed !== undefined && { expertSpeed }),
  });
  let loss = NaN;
  try {
    for await (const record of trainer.run(steps, signal)) {
      if (record.kind === "evaluation") loss = record.loss;
      onRecord?.(record);
    }
  } finally {
    trainer.dispose();
  }
  return { model, tokenizer: charTokenizer(vocabulary), loss, bigram: bigramLoss(train, validation, vocabulary.size) };
}
