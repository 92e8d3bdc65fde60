import type { Tokenizer } from "@polyhead/model";
import type { CharVocabulary } from "./text.ts";

/** Characters as the tokens of a tokenizer, so that a model of characters generates text as any other. */
export function charTokenizer(vocabulary: CharVocabulary): Tokenizer {
  return {
    vocabSize: vocabulary.size,
    encode: (text) => [...vocabulary.encode(text)],
    decode: (ids) => vocabulary.decode(ids),
  };
}
