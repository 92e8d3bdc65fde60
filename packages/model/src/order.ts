import { PolyheadError } from "@polyhead/core";

/** `s` self-attention, `w` self-attention in a window, `c` cross-attention, `f` feed-forward, `m` mixture of experts. */
export type Letter = "s" | "w" | "c" | "f" | "m";

/** One residual step: a sublayer, or branches that read the same stream and are summed. */
export type Step = readonly Letter[];

export interface OrderOptions {
  /** Self-attentions that the order must have. */
  readonly layers: number;
  /** Whether there is an encoder to attend to; the orders with a name then have a `c` after every `s`. */
  readonly cross: boolean;
}

const LONGEST_TEXT = 1000;
const MOST_STEPS = 10_000;

/**
 * The sandwich order sᵏ(sf)ⁿ⁻ᵏfᵏ (Press et al., 2020, arXiv:1911.03864): the same sublayers as n interleaved blocks, with k
 * attentions brought to the bottom and k feed-forwards to the top.
 *
 * @throws PolyheadError `CONFIG_ORDER` unless k is a whole number from 0 to `layers`.
 */
export function sandwichOrder(layers: number, k: number): string {
  if (!(Number.isInteger(k) && k >= 0 && k <= layers)) throw new PolyheadError("CONFIG_ORDER", `a sandwich of ${k} in ${layers} layers`, `give a whole number from 0 to ${layers}`);
  return times("s", k) + times("(sf)", layers - k) + times("f", k);
}

const times = (item: string, count: number): string => (count === 0 ? "" : item + String(count));

/** `interleaved`, `parallel` and `sandwich:k` as the orders that they stand for; any other text as it is. */
export function spellOrder(order: string, { layers, cross }: OrderOptions): string {
  const sandwich = /^sandwich:(\d{1,6})$/.exec(order);
  const named = order === "interleaved" ? times("(sf)", layers) : order === "parallel" ? times("[sf]", layers) : sandwich && sandwichOrder(layers, Number(sandwich[1]));
  if (named === null) return order;
  // s is followed by c; as an item of its own with a count, the two are a group.
  return cross ? named.replace(/^s(\d)/, "(s)$1").replaceAll("s", "sc") : named;
}

/**
 * Reads an order: letters, `(…)` groups, `[…]` branches of one stream, and after any of them a count: `(sf)3`, `s2(sf)4f2`, `[sf]12`,
 * `(wfsf)3`, `(sf)1(sm)2`. The words `interleaved` `(sf)ⁿ`, `parallel` `[sf]ⁿ` and `sandwich:k` stand for orders.
 *
 * @throws PolyheadError `CONFIG_ORDER` naming the place of what does not fit, or how many self-attentions there are and should be.
 */
export function parseOrder(order: string, options: OrderOptions): readonly Step[] {
  const text = spellOrder(order, options);
  if (text.length > LONGEST_TEXT) throw new PolyheadError("CONFIG_ORDER", `an order of ${text.length} characters; at most ${LONGEST_TEXT} are read`, "use counts: (sf)12");
  const steps = new OrderReader(text, options.cross).all();
  const attentions = steps.flat().filter((letter) => letter === "s" || letter === "w").length;
  if (attentions !== options.layers) throw new PolyheadError("CONFIG_ORDER", `order '${text}' has ${attentions} self-attentions; layers is ${options.layers}`, `set layers to ${attentions}, or change the order`);
  if (options.cross && !steps.flat().includes("c")) throw new PolyheadError("CONFIG_ORDER", `order '${text}' never attends to the encoder`, "give it cross-attentions: (scf)2");
  return steps;
}

/** A reader of one text, from left to right. */
class OrderReader {
  readonly #text: string;
  readonly #letters: string;
  #at = 0;

  constructor(text: string, cross: boolean) {
    this.#text = text;
    this.#letters = cross ? "swcfm" : "swfm";
  }

  all(): readonly Step[] {
    const steps = this.#items(undefined);
    if (steps.length === 0) throw this.#wrong("the order is empty", "write at least one letter: (sf)2");
    return steps;
  }

  /** Items until `end`, or until the text ends. */
  #items(end: ")" | undefined): Step[] {
    const steps: Step[] = [];
    while (this.#at < this.#text.length && this.#text[this.#at] !== end) {
      const start = this.#at;
      const item = this.#item();
      const count = this.#count();
      if (steps.length + item.length * count > MOST_STEPS) throw this.#wrong(`more than ${MOST_STEPS} sublayers`, "give smaller counts", start);
      for (let i = 0; i < count; i++) steps.push(...item);
    }
    return steps;
  }

  #item(): readonly Step[] {
    const start = this.#at;
    const first = this.#text[start]!;
    this.#at++;
    if (first === "(") {
      const steps = this.#items(")");
      this.#close(start, ")");
      if (steps.length === 0) throw this.#wrong("an empty group", "write letters into it", start);
      return steps;
    }
    if (first === "[") {
      const branches: Letter[] = [];
      while (this.#at < this.#text.length && this.#text[this.#at] !== "]") branches.push(this.#letter(this.#text[this.#at]!, this.#at++));
      this.#close(start, "]");
      if (branches.length === 0) throw this.#wrong("branches of nothing", "write letters into the brackets: [sf]", start);
      return [branches];
    }
    return [[this.#letter(first, start)]];
  }

  #letter(given: string, place: number): Letter {
    if (this.#letters.includes(given)) return given as Letter;
    if (given === "c") throw this.#wrong("'c' is cross-attention, and there is no encoder", "use architecture 'encoder-decoder', or leave it out", place);
    throw this.#wrong(`'${given}' is no letter of an order`, `use ${Array.from(this.#letters).join(", ")}, groups (…), branches […] of letters, and counts after them`, place);
  }

  #close(start: number, end: ")" | "]"): void {
    if (this.#text[this.#at] !== end) throw this.#wrong(`'${this.#text[start]!}' is never closed`, `write '${end}' where it ends`, start);
    this.#at++;
  }

  #count(): number {
    const start = this.#at;
    while (/\d/.test(this.#text[this.#at] ?? "")) this.#at++;
    if (this.#at === start) return 1;
    const count = Number(this.#text.slice(start, this.#at));
    if (count < 1 || count > MOST_STEPS) throw this.#wrong(`a count of ${count}`, `give a whole number from 1 to ${MOST_STEPS}, or leave the item out`, start);
    return count;
  }

  #wrong(what: string, fix: string, place: number = this.#at): PolyheadError {
    return new PolyheadError("CONFIG_ORDER", `${what}, at place ${place + 1} of the order\n  ${this.#text}\n  ${" ".repeat(place)}^`, fix);
  }
}
