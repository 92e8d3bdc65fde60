/** Text to token ids and back. */
export interface Tokenizer {
  /** Number of ids that it may give: one more than the largest. A model's table may be larger (padded), never smaller. */
  readonly vocabSize: number;
  /**
   * The ids of a text.
   *
   * @param options.special  whether the tokens that the tokenizer adds by itself, such as the begin of a text, are added; default true
   */
  encode(text: string, options?: { readonly special?: boolean }): number[];
  /**
   * The text of ids, without special tokens unless `special` is true. Text that stands at the begin of a word may lose its leading space.
   *
   * @throws PolyheadError `TOKENIZER_ID` naming the first id that no token has.
   */
  decode(ids: readonly number[], options?: { readonly special?: boolean }): string;
}
