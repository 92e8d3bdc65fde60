/** Ids that a model's files name for generation. */
export interface GenerationDefaults {
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
  const eos = given("eos_token_id");
  const [bos, pad, decoderStart] = [one("bos_token_id"), one("pad_token_id"), one("decoder_start_token_id")];
  return {
    eos: (Array.isArray(eos) ? eos : [eos]).filter(isId),
    ...(bos !== undefined && { bos }),
    ...(pad !== undefined && { pad }),
    ...(decoderStart !== undefined && { decoderStart }),
  };
}
