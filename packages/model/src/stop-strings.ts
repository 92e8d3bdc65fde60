import { PolyheadError } from "@polyhead/core";

/** Lets text through until one of several strings is complete, wherever the pieces of the text are cut. */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = "";
  #reached = false;

  /** @throws PolyheadError `CONFIG_RANGE` for an empty string. */
  constructor(stops: readonly string[]) {
    if (stops.includes("")) throw new PolyheadError("CONFIG_RANGE", "a stop string is empty", "give strings of at least one character");
    this.#stops = stops;
  }

  get reached(): boolean {
    return this.#reached;
  }

  /** Takes a piece, and gives what is certain to come before any stop string. After one was reached, that is nothing. */
  push(piece: string): string {
    if (this.#reached) return "";
    const text = this.#held + piece;
    const end = this.#firstStop(text);
    this.#reached = end !== undefined;
    const open = end ?? text.length - this.#longestBegin(text);
    this.#held = this.#reached ? "" : text.slice(open);
    return text.slice(0, open);
  }

  /** What was held back, when the text has ended. */
  end(): string {
    const rest = this.#held;
    this.#held = "";
    return rest;
  }

  /** Where the stop string begins that is complete first: so the answer does not depend on the pieces. Of those, the longest. */
  #firstStop(text: string): number | undefined {
    const found = this.#stops.map((stop) => ({ start: text.indexOf(stop), length: stop.length })).filter(({ start }) => start >= 0);
    found.sort((a, b) => a.start + a.length - (b.start + b.length) || a.start - b.start);
    return found[0]?.start;
  }

  /** Length of the longest end of `text` that a stop string begins with. */
  #longestBegin(text: string): number {
    const begins = (stop: string): number => {
      let length = Math.min(stop.length - 1, text.length);
      while (!stop.startsWith(text.slice(text.length - length))) length--;
      return length;
    };
    return Math.max(0, ...this.#stops.map(begins));
  }
}
