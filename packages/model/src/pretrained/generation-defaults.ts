import type { ChoiceOptions } from "../generate-options.ts";

/** What a model's files say about generation. */
export interface GenerationDefaults {
  /** How tokens are chosen: the likeliest, unless the files ask for draws. */
  readonly choice: ChoiceOptions;
  /** Ids that end a text. */
  readonly eos: readonly number[];
  /** The id that begins a text. */
  readonly bos?: number;
  /** The id that fills rows of a batch. */
  readonly pad?: number;
  /** What a decoder of an encoder-decoder starts from. */
  readonly decoderStart?: number;
}

/**
 * Reads the ids that `generation_config.json` names, else `config.json`. An id outside of the vocabulary can never come up, and
 * models that were shrunk for tests name such: it is left out.
 */
export function generationDefaults(vocab: number, ...configs: readonly Readonly<Record<string, unknown>>[]): GenerationDefaults {
  const isId = (id: unknown): id is number => Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocab;
  const given = (key: string): unknown => configs.map((config) => config[key]).find((value) => value !== undefined && value !== null);
  const one = (key: string): number | undefined => {
    const id = given(key);
    return isId(id) ? id : undefined;
  };
  const number = (key: string): number | undefined => {
    const value = given(key);
    return typeof value === "number" ? value : undefined;
  };
  const eos = given("eos_token_id");
  const [bos, pad, decoderStart] = [one("bos_token_id"), one("pad_token_id"), one("decoder_start_token_id")];
  return {
    choice: choiceOf(given("do_sample") === true, number),
    eos: (Array.isArray(eos) ? eos : [eos]).filter(isId),
    ...(bos !== undefined && { bos }),
    ...(pad !== undefined && { pad }),
    ...(decoderStart !== undefined && { decoderStart }),
  };
}

/** As Hugging Face's `generate`: draws are asked for by `do_sample`, and are then among the 50 likeliest unless the files say otherwise. */
function choiceOf(draws: boolean, number: (key: string) => number | undefined): ChoiceOptions {
  const [penalty, topP, minP] = [number("repetition_penalty"), number("top_p"), number("min_p")];
  const repetition = penalty === undefined ? {} : { repetitionPenalty: penalty };
  if (!draws) return { temperature: 0, ...repetition };
  const topK = number("top_k") ?? 50;
  return { temperature: number("temperature") ?? 1, ...(topK > 0 && { topK }), ...(topP !== undefined && { topP }), ...(minP !== undefined && { minP }), ...repetition };
}
