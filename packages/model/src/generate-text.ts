import { PolyheadError } from "@polyhead/core";
import type { EncoderDecoderModel } from "./encoder-decoder.ts";
import { endingRows } from "./generate-batch.ts";
import { checkOptions, type GenerateOptions, type StopReason } from "./generate-options.ts";
import type { LanguageModel } from "./language-model.ts";
import { encodePrompts, openPrompts, readsPrompts, type Prompt } from "./prompts.ts";
import { TextStream } from "./text-stream.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface GenerateTextOptions extends Omit<GenerateOptions, "whenFull"> {
  /** As for `generate`; for several prompts, and where an encoder reads them, the default is `stop`. */
  readonly whenFull?: "restart" | "stop";
  /** Texts that end a row. No part of them is given, and they may begin and end within tokens. */
  readonly stop?: string | readonly string[];
}

/** What a row goes on with. */
export interface TextPiece {
  /** Place of its prompt. */
  readonly row: number;
  /** Whole characters; empty only where a row ended with ids that have no text. */
  readonly text: string;
  /** The ids since the row's last piece. The end of the text of the last of them may still be held back. */
  readonly ids: readonly number[];
}

/**
 * Continues a text, or several at once, a piece at a time; an encoder-decoder answers them: `for await (const { text } of generateText(model, tokenizer, "Once", { tokens: 64 }))`.
 * Pieces never end within a character, and the texts of a row's pieces, joined, are the decoded continuation, up to the stop string
 * if one was reached and without the stop id.
 *
 * @param prompts  one text, or a list of texts and ids
 * @returns why each row ended
 * @throws PolyheadError what `generate` (one prompt) and `generateBatch` (a list) throw, `CONFIG_RANGE` for an empty stop string, and `TOKENIZER_VOCAB` for a tokenizer that gives ids which the model does not know.
 */
export function generateText(model: LanguageModel | EncoderDecoderModel, tokenizer: Tokenizer, prompts: string | readonly Prompt[], options: GenerateTextOptions): AsyncGenerator<TextPiece, readonly StopReason[], void> {
  return textRows(model, tokenizer, encodePrompts(tokenizer, prompts), options);
}

/** `generateText` of ids. `onToken` hears of every id when it comes, whatever is held back of its text. */
export async function* textRows(
  model: LanguageModel | EncoderDecoderModel,
  tokenizer: Tokenizer,
  prompts: readonly (readonly number[])[],
  { stop = [], ...options }: GenerateTextOptions,
  onToken?: () => void,
): AsyncGenerator<TextPiece, readonly StopReason[], void> {
  const { vocab } = model.spec;
  checkOptions(options, vocab);
  if (tokenizer.vocabSize > vocab) throw new PolyheadError("TOKENIZER_VOCAB", `the tokenizer gives ids below ${tokenizer.vocabSize}; this model knows ${vocab}`, "use the tokenizer that came with the model");
  const stops = typeof stop === "string" ? [stop] : stop;
  const rows = prompts.map((prompt) => new TextRow(new TextStream(tokenizer, { ...(!readsPrompts(model) && { prompt }), stop: stops })));
  const open = openPrompts(model, prompts);
  const whenFull = options.whenFull ?? (prompts.length === 1 && !readsPrompts(model) ? "restart" : "stop");
  const tokens = endingRows(open.model, open.prompts, { ...options, whenFull }, ({ row, id }, isStop) => rows[row]!.take(id, isStop));
  let reasons: readonly StopReason[] = [];
  try {
    for (;;) {
      const { done, value } = await tokens.next();
      if (done === true) {
        reasons = value;
        break;
      }
      onToken?.();
      const { row } = value;
      if (rows[row]!.ready) yield { row, ...rows[row]!.piece() };
    }
    for (const [row, own] of rows.entries()) {
      own.end();
      if (own.ready) yield { row, ...own.piece() };
    }
    return reasons;
  } finally {
    await tokens.return([]);
    open.dispose();
  }
}

/** What of a row has come and was not given yet. */
class TextRow {
  readonly #stream: TextStream;
  #text = "";
  #ids: number[] = [];
  #ended = false;

  constructor(stream: TextStream) {
    this.#stream = stream;
  }

  take(id: number, isStop: boolean): StopReason | undefined {
    this.#ids.push(id);
    if (isStop) {
      this.end();
      return "stop-id";
    }
    this.#text += this.#stream.push(id);
    if (!this.#stream.stopped) return undefined;
    this.#ended = true;
    return "stop-string";
  }

  end(): void {
    if (!this.#ended) this.#text += this.#stream.end();
    this.#ended = true;
  }

  /** Whether there is text, or a last id. */
  get ready(): boolean {
    return this.#text !== "" || (this.#ended && this.#ids.length > 0);
  }

  piece(): Omit<TextPiece, "row"> {
    const piece = { text: this.#text, ids: this.#ids };
    this.#text = "";
    this.#ids = [];
    return piece;
  }
}
