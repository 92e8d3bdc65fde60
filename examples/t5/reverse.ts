// A task that a toy can learn from scratch: to write a word backwards, of which the encoder has read it.
import { PolyheadError } from "@polyhead/core";
import { IGNORED, type EncoderDecoderModel, type Tokenizer } from "@polyhead/model";
import { philox } from "@polyhead/tensor";
import { AdamW, warmupCosine } from "@polyhead/train";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
/** As in T5: 0 begins what the decoder reads, 1 ends a text. */
const [END, FIRST] = [1, 2];
const LONGEST = 8;

/** Letters as tokens, each text with its end. */
export const letters: Tokenizer = {
  vocabSize: FIRST + LETTERS.length,
  encode: (text) => [...Array.from(text, (letter) => {
    const place = LETTERS.indexOf(letter);
    if (place < 0) throw new PolyheadError("TEXT_UNKNOWN_CHARACTER", `'${letter}' is none of the letters ${LETTERS}`, "write words in small letters, without spaces");
    return FIRST + place;
  }), END],
  decode: (ids) => ids.map((id) => LETTERS[id - FIRST] ?? "").join(""),
};

/** The different words of a text: one in ten to test with, the others to learn from. */
export function wordsOf(text: string): { readonly train: readonly string[]; readonly test: readonly string[] } {
  const words = [...new Set(text.toLowerCase().match(new RegExp(`\\b[a-z]{2,${LONGEST}}\\b`, "g")))];
  return { train: words.filter((_, i) => i % 10 !== 0), test: words.filter((_, i) => i % 10 === 0) };
}

export const reversed = (word: string): string => Array.from(word).reverse().join("");

/** Rows of equal length, filled on the right. */
const padded = (rows: readonly (readonly number[])[], fill: number): number[] => rows.flatMap((ids) => [...ids, ...new Array<number>(LONGEST + 1 - ids.length).fill(fill)]);

export interface ReversalOptions {
  readonly words: readonly string[];
  readonly steps: number;
  readonly batch?: number;
  readonly signal?: AbortSignal;
  readonly log?: (line: string) => void;
}

/** Trains in plain sight: what `Trainer` does for decoders, written out. Returns the losses that were read. */
export async function trainReversal(model: EncoderDecoderModel, { words, steps, batch = 32, signal, log }: ReversalOptions): Promise<number[]> {
  const { engine } = model;
  const optimizer = new AdamW(model.parameters, { beta2: 0.98, clip: 1 });
  const rate = warmupCosine({ peak: 3e-3, warmup: Math.ceil(steps / 20), total: steps });
  const losses: number[] = [];
  for (let step = 0; step < steps && signal?.aborted !== true; step++) {
    const rows = Array.from({ length: batch }, (_, row) => words[philox([step, row, 0, 0], [1, 0])[0] % words.length]!);
    const sources = rows.map((word) => letters.encode(word));
    const targets = rows.map((word) => letters.encode(reversed(word)));
    const loss = engine.scope(() => {
      const lengths = engine.tensor(sources.map(({ length }) => length), [batch], { dtype: "i32" });
      const mean = model.loss(model.ids(padded(sources, 0), batch), model.targets(padded(targets, IGNORED), batch), { training: true, lengths });
      mean.backward();
      optimizer.step(rate(step));
      return mean.detach();
    });
    if (step === 0 || (step + 1) % 10 === 0 || step + 1 === steps) {
      losses.push(await loss.item());
      log?.(`step ${step + 1}: loss ${losses.at(-1)!.toFixed(4)}`);
    }
    loss.dispose();
  }
  optimizer.dispose();
  return losses;
}
