import { StopStrings } from "./stop-strings.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What decoders put in the place of bytes that are no character, or not one yet. */
const REPLACEMENT = "\ufffd";
const UNFINISHED = /\ufffd+$/;
/** Ids of the prompt that are looked at for a place where a text may begin. */
const MOST_CONTEXT = 8;

export interface TextStreamOptions {
  /** The ids before the first: some tokenizers drop the space before a word where a text begins. */
  readonly prompt?: readonly number[];
  /** Texts that end the stream; no part of them is given. */
  readonly stop?: readonly string[];
}

/**
 * The text of ids as they come. A character of several tokens is given when it is whole, and text that may be the begin of a stop string
 * when it is known not to be one.
 */
export class TextStream {
  readonly #tokenizer: Tokenizer;
  readonly #stops: StopStrings;
  /** Ids whose text was given last, and after them those that came since: nothing before them changes the text of these. */
  #ids: number[];
  /** How many of them were given before the others came. */
  #given: number;
  /** The text of those. */
  #before: string;
  /** How much of the text of the others has been given: all but a character that is not whole yet. */
  #whole = 0;

  constructor(tokenizer: Tokenizer, { prompt = [], stop = [] }: TextStreamOptions = {}) {
    this.#tokenizer = tokenizer;
    this.#stops = new StopStrings(stop);
    this.#ids = contextOf(tokenizer, prompt);
    this.#given = this.#ids.length;
    this.#before = tokenizer.decode(this.#ids);
  }

  /** Whether a stop string was reached. */
  get stopped(): boolean {
    return this.#stops.reached;
  }

  /** Takes one more id, and gives what is certain now; maybe nothing. */
  push(id: number): string {
    this.#ids.push(id);
    const text = this.#pending();
    const whole = text.replace(UNFINISHED, "");
    const piece = whole.slice(this.#whole);
    if (text === "" || whole !== text) {
      this.#whole = whole.length;
    } else {
      this.#ids = this.#ids.slice(this.#given);
      this.#given = this.#ids.length;
      this.#before = this.#tokenizer.decode(this.#ids);
      this.#whole = 0;
    }
    return this.#stops.push(piece);
  }

  /** What was held back, when no more ids come. Bytes of a character that never became whole are left out. */
  end(): string {
    return this.#stops.end();
  }

  #pending(): string {
    const text = this.#tokenizer.decode(this.#ids);
    // Bytes after bytes may make the ones before no character; those were given, so the others stand alone.
    return text.startsWith(this.#before) ? text.slice(this.#before.length) : this.#tokenizer.decode(this.#ids.slice(this.#given));
  }
}

/** The last ids of a prompt, as many as have a text that begins with a whole character. */
function contextOf(tokenizer: Tokenizer, prompt: readonly number[]): number[] {
  for (let count = 1; count <= Math.min(MOST_CONTEXT, prompt.length); count++) {
    const ids = prompt.slice(-count);
    const text = tokenizer.decode(ids);
    if (text !== "" && !text.startsWith(REPLACEMENT)) return ids;
  }
  return prompt.slice(-MOST_CONTEXT);
}
