import * as tokenizers from "@huggingface/tokenizers";
import { PolyheadError } from "@polyhead/core";
import type { Tokenizer } from "../tokenizer.ts";

/** What we use of the library. Its own declarations name files without endings, which module resolution by Node's rules does not follow. */
interface Library {
  encode(text: string, options: { add_special_tokens: boolean }): { readonly ids: readonly (number | undefined)[] };
  decode(ids: number[], options: { skip_special_tokens: boolean; clean_up_tokenization_spaces: boolean }): string;
}
const { Tokenizer: LibraryTokenizer } = tokenizers as unknown as { Tokenizer: new (json: object, config: object) => Library };

type Json = Readonly<Record<string, unknown>>;

/** No vocabulary comes near it; a table indexed by a hostile id would take the whole memory. */
const MOST_IDS = 1 << 24;

const isRecord = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

const broken = (message: string): PolyheadError => new PolyheadError("PRETRAINED_TOKENIZER", `tokenizer.json ${message}`, "use the tokenizer.json that came with the model");

/** Every id that the tables give, checked; without the library, which would allocate by the largest. */
function idsOf(json: Json): ReadonlySet<number> {
  const { model, added_tokens: added = [] } = json;
  if (!isRecord(model)) throw broken("has no object 'model'");
  if (!Array.isArray(added)) throw broken("has a key 'added_tokens' that is no list");
  const { vocab } = model;
  const listed = Array.isArray(vocab) ? [...vocab.keys()] : isRecord(vocab) ? Object.values(vocab) : undefined;
  if (listed === undefined) throw broken("has no table 'model.vocab'");
  const ids = [...listed, ...added.map((token: unknown) => (isRecord(token) ? token["id"] : token))];
  for (const id of ids) {
    if (!(Number.isInteger(id) && (id as number) >= 0 && (id as number) < MOST_IDS)) throw broken(`gives a token the id ${JSON.stringify(id)}; expected a whole number below ${MOST_IDS}`);
  }
  if (ids.length === 0) throw broken("has an empty vocabulary");
  return new Set(ids as number[]);
}

/**
 * A tokenizer as `@huggingface/tokenizers` runs it.
 *
 * @param json    the content of `tokenizer.json`
 * @param config  the content of `tokenizer_config.json`
 * @throws PolyheadError `PRETRAINED_TOKENIZER` when it is broken or of a kind that the library does not know.
 */
export function createTokenizer(json: Json, config: Json = {}): Tokenizer {
  const ids = idsOf(json);
  /** What the library trips over is a file that it cannot use. */
  const using = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw broken(`cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  // Older files leave out what they do not use; the library asks for every key.
  const library = using(() => new LibraryTokenizer({ normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, added_tokens: [], ...json }, config));
  // The library would join words and punctuation unasked.
  const clean = config["clean_up_tokenization_spaces"] === true;
  return Object.freeze({
    vocabSize: 1 + [...ids].reduce((most, id) => Math.max(most, id)),
    encode: (text: string, { special = true } = {}) => using(() => library.encode(text, { add_special_tokens: special }).ids).map((id, i) => {
      if (id !== undefined) return id;
      throw new PolyheadError("TOKENIZER_TEXT", `token ${i} of the text has no id, and this tokenizer has no token for the unknown`, "use text that the tokenizer was made for");
    }),
    decode: (tokens: readonly number[], { special = false } = {}) => {
      const strange = tokens.find((id) => !ids.has(id));
      if (strange !== undefined) throw new PolyheadError("TOKENIZER_ID", `no token has the id ${strange}; this tokenizer has ${ids.size}`, "decode ids that the tokenizer gave, or a model that it fits");
      return tokens.length === 0 ? "" : using(() => library.decode([...tokens], { skip_special_tokens: !special, clean_up_tokenization_spaces: clean }));
    },
  });
}
