import { PolyheadError } from "@polyhead/core";
import type { EncoderDecoderModel } from "./encoder-decoder.ts";
import type { LanguageModel } from "./language-model.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A text, or ids where the caller encodes by himself: a chat template writes its special tokens as text. */
export type Prompt = string | readonly number[];

/**
 * @param spec  `context` is the most that a prompt may have
 * @throws PolyheadError `MODEL_PROMPT` for no prompt, an empty one or an id outside the vocabulary; `MODEL_CONTEXT` for one that is too long.
 */
export function checkPrompts(prompts: readonly (readonly number[])[], { vocab, context }: LanguageModel["spec"]): void {
  if (prompts.length === 0) throw new PolyheadError("MODEL_PROMPT", "there is no prompt", "give at least one");
  prompts.forEach((ids, row) => {
    const which = prompts.length === 1 ? "the prompt" : `prompt ${row}`;
    if (ids.length === 0) throw new PolyheadError("MODEL_PROMPT", `${which} is empty`, "start from at least one token");
    if (ids.length > context) throw new PolyheadError("MODEL_CONTEXT", `${which} has ${ids.length} tokens; this model's context holds ${context}`, "cut the prompt to its last tokens, or build the model with a longer context");
    const wrong = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < vocab));
    if (wrong >= 0) throw new PolyheadError("MODEL_PROMPT", `${which} has the id ${ids[wrong]} at place ${wrong}; ids are whole numbers from 0 to ${vocab - 1}`, "encode the text with the tokenizer of this model");
  });
}

/** What generation starts from. */
export interface OpenPrompts {
  readonly model: LanguageModel;
  readonly prompts: readonly (readonly number[])[];
  /** Frees what was made for the prompts. */
  dispose(): void;
}

/** The ids of every prompt. */
export const encodePrompts = (tokenizer: Tokenizer, prompts: string | readonly Prompt[]): (readonly number[])[] =>
  (typeof prompts === "string" ? [prompts] : prompts).map((prompt) => (typeof prompt === "string" ? tokenizer.encode(prompt) : prompt));

/** Whether the model reads its prompts with an encoder; by shape, since two copies of this package may live in one tree. */
export const readsPrompts = (model: LanguageModel | EncoderDecoderModel): model is EncoderDecoderModel => "encode" in model;

/**
 * A language model goes on with the prompts; an encoder-decoder reads them, and its decoder begins beside them with its start id.
 *
 * @throws PolyheadError what `checkPrompts` throws.
 */
export function openPrompts(model: LanguageModel | EncoderDecoderModel, prompts: readonly (readonly number[])[]): OpenPrompts {
  if (!readsPrompts(model)) return { model, prompts, dispose: () => undefined };
  const { engine, spec } = model;
  checkPrompts(prompts, spec);
  const longest = Math.max(...prompts.map(({ length }) => length));
  const padded = prompts.flatMap((ids) => [...ids, ...new Array<number>(longest - ids.length).fill(0)]);
  const owned: { dispose(): void }[] = [];
  const own = <T extends { dispose(): void }>(one: T): T => (owned.push(one), one);
  const dispose = (): void => { for (const one of owned.reverse()) one.dispose(); };
  try {
    const padding = prompts.some(({ length }) => length < longest) && { lengths: own(engine.keep(engine.tensor(prompts.map(({ length }) => length), [prompts.length], { dtype: "i32" }))) };
    const source = own(engine.keep(engine.noGrad(() => engine.scope(() => model.encode(model.ids(padded, prompts.length), { ...padding }).source))));
    return { model: own(model.decoder({ source, ...padding })), prompts: prompts.map(() => [model.start]), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}
