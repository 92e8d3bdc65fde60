import type { GenerateTextOptions } from "../generate-text.ts";
import { readNumber, type Arguments, type NumberRange } from "./arguments.ts";

const COUNT: NumberRange = { least: 1, whole: true };

const NUMBERS = {
  tokens: { key: "tokens", range: { least: 0, whole: true }, doc: "number of new tokens at most" },
  temperature: { key: "temperature", range: { least: 0 }, doc: "divisor of the logits: 0 always takes the likeliest token" },
  "top-k": { key: "topK", range: COUNT, doc: "number of likeliest tokens to draw among" },
  "top-p": { key: "topP", range: { least: 0, above: true }, doc: "probability that the tokens to draw among sum to, at most 1" },
  "min-p": { key: "minP", range: { least: 0 }, doc: "part of the largest probability that a token must have, at most 1" },
  "repetition-penalty": { key: "repetitionPenalty", range: { least: 0, above: true }, doc: "divisor of the logits of tokens that came before" },
  seed: { key: "seed", range: { least: 0, below: 2 ** 32, whole: true }, doc: "seed of the draws" },
} as const satisfies Record<string, { key: keyof GenerateTextOptions; range: NumberRange; doc: string }>;

/** What a command line may say about generation, by option: what each means. */
export const GENERATION_WORDS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(NUMBERS).map(([name, { doc }]) => [name, doc])),
  stop: "text that ends the output and is no part of it; may be given more than once",
};

/**
 * Generation's options as a command line gives them; those that it does not give are not there.
 *
 * @throws PolyheadError `ARGUMENT_NUMBER`
 */
export function generationOptions({ words, lists }: Arguments): Partial<GenerateTextOptions> {
  const numbers = Object.entries(NUMBERS).flatMap(([name, { key, range, doc }]): [string, number][] => {
    const text = words[name];
    return text === undefined ? [] : [[key, readNumber(name, text, range, doc)]];
  });
  const stop = lists["stop"];
  return { ...Object.fromEntries(numbers), ...(stop !== undefined && { stop }) };
}
