import { PolyheadError } from "@polyhead/core";

/** Characters as tokens: id = place in the sorted alphabet, as in nanoGPT's character datasets. */
export class CharVocabulary {
  readonly characters: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;

  /** @param characters  the alphabet; order is the order of ids */
  constructor(characters: readonly string[]) {
    this.characters = characters;
    this.#ids = new Map(characters.map((c, id) => [c, id]));
  }

  /** The alphabet of a text, sorted by code point. */
  static of(text: string): CharVocabulary {
    return new CharVocabulary([...new Set(text)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!));
  }

  get size(): number {
    return this.characters.length;
  }

  /** @throws PolyheadError `TEXT_UNKNOWN_CHARACTER` naming the character and its place. */
  encode(text: string): Uint32Array {
    return Uint32Array.from(Array.from(text), (character, i) => {
      const id = this.#ids.get(character);
      if (id !== undefined) return id;
      const swapped = [character.toLowerCase(), character.toUpperCase()].find((c) => this.#ids.has(c));
      throw new PolyheadError(
        "TEXT_UNKNOWN_CHARACTER",
        `character ${JSON.stringify(character)} (U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}) at place ${i} is not among the ${this.size} that the model was trained on`,
        swapped === undefined ? `leave it out; the model knows ${JSON.stringify(this.characters.join(""))}` : `leave it out, or write ${JSON.stringify(swapped)}`,
      );
    });
  }

  decode(ids: Iterable<number>): string {
    return Array.from(ids, (id) => this.characters[id] ?? "\uFFFD").join("");
  }
}

/** The first part for training, the rest for validation. */
export function splitTokens(tokens: Uint32Array, trainFraction = 0.9): { readonly train: Uint32Array; readonly validation: Uint32Array } {
  const cut = Math.floor(tokens.length * trainFraction);
  return { train: tokens.subarray(0, cut), validation: tokens.subarray(cut) };
}

/**
 * Cross-entropy (nats a token) of `validation` under a bigram model of `train` with add-one smoothing:
 * the bar that a model which looks further back than one token must clear.
 */
export function bigramLoss(train: Uint32Array, validation: Uint32Array, vocab: number): number {
  const pairs = new Float64Array(vocab * vocab).fill(1);
  const firsts = new Float64Array(vocab).fill(vocab);
  for (let i = 1; i < train.length; i++) {
    pairs[train[i - 1]! * vocab + train[i]!]!++;
    firsts[train[i - 1]!]!++;
  }
  let total = 0;
  for (let i = 1; i < validation.length; i++) total -= Math.log(pairs[validation[i - 1]! * vocab + validation[i]!]! / firsts[validation[i - 1]!]!);
  return total / (validation.length - 1);
}
