import type { EncoderDecoderModel } from "./encoder-decoder.ts";
import type { StopReason } from "./generate-options.ts";
import { textRows, type GenerateTextOptions } from "./generate-text.ts";
import type { LanguageModel } from "./language-model.ts";
import { encodePrompts, type Prompt } from "./prompts.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** The whole continuation of a prompt. */
export interface CompletedText {
  readonly text: string;
  readonly ids: readonly number[];
  readonly reason: StopReason;
}

export interface CompleteTextOptions extends GenerateTextOptions {
  /** Hears every piece of text as it comes, with the place of its prompt. */
  readonly onText?: (text: string, row: number) => void;
}

/** How long it took, as the caller waits for it; what a device compiles on its first use is part of it. */
export interface TextTiming {
  /** Tokens of all prompts, without padding. */
  readonly promptTokens: number;
  /** From the start until the first new token was there. */
  readonly promptSeconds: number;
  /** Undefined where no token came. */
  readonly promptTokensPerSecond: number | undefined;
  /** New tokens of all rows. */
  readonly tokens: number;
  /** From the first step's tokens to the last. */
  readonly decodeSeconds: number;
  /** Tokens after each row's first, a second of decoding; undefined where there are none. */
  readonly decodeTokensPerSecond: number | undefined;
}

/**
 * `generateText` of one text, collected.
 *
 * @throws PolyheadError what `generateText` throws.
 */
export async function completeText(model: LanguageModel | EncoderDecoderModel, tokenizer: Tokenizer, prompt: Prompt, options: CompleteTextOptions): Promise<CompletedText & { readonly timing: TextTiming }> {
  const { rows, timing } = await completeTexts(model, tokenizer, [prompt], options);
  return { ...rows[0]!, timing };
}

/**
 * `generateText` of a list, collected: a text a prompt.
 *
 * @throws PolyheadError what `generateText` throws.
 */
export async function completeTexts(model: LanguageModel | EncoderDecoderModel, tokenizer: Tokenizer, prompts: readonly Prompt[], { onText, ...options }: CompleteTextOptions): Promise<{ readonly rows: readonly CompletedText[]; readonly timing: TextTiming }> {
  const encoded = encodePrompts(tokenizer, prompts);
  const rows = encoded.map(() => ({ text: "", ids: [] as number[] }));
  const start = performance.now();
  let first: number | undefined;
  let last = start;
  const pieces = textRows(model, tokenizer, encoded, options, () => {
    last = performance.now();
    first ??= last;
  });
  for (;;) {
    const { done, value } = await pieces.next();
    if (done === true) return { rows: rows.map((row, r) => ({ ...row, reason: value[r]! })), timing: timingOf(encoded, rows, { start, first: first ?? last, last }) };
    rows[value.row]!.text += value.text;
    rows[value.row]!.ids.push(...value.ids);
    if (value.text !== "") onText?.(value.text, value.row);
  }
}

function timingOf(prompts: readonly (readonly number[])[], rows: readonly { readonly ids: readonly number[] }[], { start, first, last }: { readonly start: number; readonly first: number; readonly last: number }): TextTiming {
  const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
  const promptTokens = sum(prompts.map(({ length }) => length));
  const [promptSeconds, decodeSeconds] = [(first - start) / 1000, (last - first) / 1000];
  const later = sum(rows.map(({ ids }) => Math.max(0, ids.length - 1)));
  return {
    promptTokens,
    promptSeconds,
    promptTokensPerSecond: promptSeconds > 0 ? promptTokens / promptSeconds : undefined,
    tokens: sum(rows.map(({ ids }) => ids.length)),
    decodeSeconds,
    decodeTokensPerSecond: later > 0 && decodeSeconds > 0 ? later / decodeSeconds : undefined,
  };
}
