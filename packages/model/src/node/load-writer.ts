import type { Lab, ModelOf, Plugin } from "@polyhead/core";
import type { Engine } from "@polyhead/tensor";
import type { GenerateTextOptions } from "../generate-text.ts";
import type { LoadOptions, Pretrained } from "../pretrained/load.ts";
import type { FileSource } from "../pretrained/source.ts";
import type { Tokenizer } from "../tokenizer.ts";
import { loadPretrained } from "./load.ts";
import { tokenizerOf } from "./tokenizer-file.ts";

/** New tokens where nobody says how many. */
const TOKENS = 128;

export interface LoadWriterOptions extends LoadOptions {
  /** File of a tokenizer, where the model came without one. */
  readonly tokenizer?: string | undefined;
  /** What the caller says about generation; it stands before what the model's files say. */
  readonly generation?: Partial<GenerateTextOptions>;
}

/** Everything that `generateText` and `completeText` take. */
export interface Writer<M> {
  readonly model: M;
  readonly tokenizer: Tokenizer;
  /** 128 tokens, chosen as the model's files say and ended by their stop ids, unless the caller says otherwise. */
  readonly options: GenerateTextOptions;
}

/**
 * Loads a model to write with.
 *
 * @throws PolyheadError what `loadPretrained` and `tokenizerOf` throw; nothing stays on the device then.
 */
export async function loadWriter<P extends readonly Plugin[]>(lab: Lab<P>, engine: Engine, source: FileSource | string, { tokenizer: file, generation, ...options }: LoadWriterOptions = {}): Promise<Writer<ModelOf<P>> & Pretrained<ModelOf<P>>> {
  const loaded = await loadPretrained(lab, engine, source, options);
  try {
    const tokenizer = await tokenizerOf(loaded, file);
    const { choice, eos } = loaded.generation;
    return { ...loaded, tokenizer, options: { tokens: TOKENS, stopIds: eos, ...choice, ...generation } };
  } catch (error) {
    loaded.dispose();
    throw error;
  }
}
