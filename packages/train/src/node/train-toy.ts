import type { GenerateTextOptions } from "@polyhead/model";
import type { Writer } from "@polyhead/model/node";
import { trainOnText, type TextTrainingOptions, type TrainedOnText } from "../train-on-text.ts";
import { readTextFile } from "./read-text-file.ts";
import type { ToyArguments } from "./toy-arguments.ts";

/** Of draws of characters. */
const GENERATION: GenerateTextOptions = { tokens: 128, temperature: 0.8, topP: 0.95 };

export interface ToyTrainingOptions extends Omit<TextTrainingOptions, "steps" | "onRecord"> {
  /** The text where the command line names no file. */
  readonly book: () => string;
  /** Hears of losses in words. */
  readonly log: (line: string) => void;
}

/**
 * `trainOnText` as a command line asks for it.
 *
 * @throws PolyheadError `TEXT_FILE`, and what `trainOnText` throws.
 */
export async function trainToy({ text, steps, generation }: Pick<ToyArguments, "text" | "steps" | "generation">, { book, log, ...options }: ToyTrainingOptions): Promise<TrainedOnText & Writer<TrainedOnText["model"]>> {
  const trained = await trainOnText(text === undefined ? book() : readTextFile(text), {
    ...options,
    steps,
    onRecord: ({ kind, step, loss }) => { if (kind === "step" && (step === 1 || step % 10 === 0)) log(`step ${step}: loss ${loss.toFixed(4)}`); },
  });
  if (!Number.isNaN(trained.loss)) log(`validation loss ${trained.loss.toFixed(4)} (a bigram model: ${trained.bigram.toFixed(4)})`);
  return { ...trained, options: { ...GENERATION, ...generation } };
}
