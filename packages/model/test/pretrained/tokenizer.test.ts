import { expect, test } from "vitest";
import { createTokenizer } from "../../src/pretrained/index.ts";

/** Byte-pair encoding of four letters with a begin token, as tokenizer.json writes it. */
const JSON_FILE = {
  added_tokens: [{ id: 6, content: "<s>", special: true, normalized: false, single_word: false, lstrip: false, rstrip: false }],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: { type: "TemplateProcessing", single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }], pair: [], special_tokens: { "<s>": { id: "<s>", ids: [6], tokens: ["<s>"] } } },
  decoder: { type: "Fuse" },
  model: { type: "BPE", unk_token: null, merges: ["a b", "ab c"], vocab: { a: 0, b: 1, c: 2, ab: 3, abc: 4, " ": 5 } },
};

test("text goes to ids and back, with special tokens where they are asked for", () => {
  const tokenizer = createTokenizer(JSON_FILE);
  expect(tokenizer.vocabSize).toBe(7);
  expect(tokenizer.encode("abcab c")).toEqual([6, 4, 3, 5, 2]);
  expect(tokenizer.encode("abcab c", { special: false })).toEqual([4, 3, 5, 2]);
  expect(tokenizer.encode("", { special: false })).toEqual([]);
  expect(tokenizer.decode([6, 4, 3, 5, 2])).toBe("abcab c");
  expect(tokenizer.decode([6, 4], { special: true })).toBe("<s>abc");
  expect(tokenizer.decode([])).toBe("");
});

test("spaces before punctuation stay, unless the config asks to join them", () => {
  const vocab = { "a": 0, " ": 1, ".": 2 };
  const json = { ...JSON_FILE, post_processor: null, added_tokens: [], model: { ...JSON_FILE.model, merges: [], vocab } };
  expect(createTokenizer(json).decode([0, 1, 2])).toBe("a .");
  expect(createTokenizer(json, { clean_up_tokenization_spaces: true }).decode([0, 1, 2])).toBe("a.");
});

test("an id without a token is an error; text without one is left out, as the library does where nothing stands for the unknown", () => {
  const tokenizer = createTokenizer(JSON_FILE);
  expect(() => tokenizer.decode([4, 7])).toThrow("[TOKENIZER_ID] no token has the id 7; this tokenizer has 7");
  expect(() => tokenizer.decode([-1])).toThrow("[TOKENIZER_ID]");
  expect(tokenizer.encode("axb", { special: false })).toEqual([0, 1]);
});

const model = JSON_FILE.model;
test.each([
  ["no model", { model: undefined }, "has no object 'model'"],
  ["no vocabulary", { model: { ...model, vocab: 3 } }, "has no table 'model.vocab'"],
  ["an empty vocabulary", { model: { ...model, vocab: {} }, added_tokens: [] }, "has an empty vocabulary"],
  ["an id that would fill the memory", { model: { ...model, vocab: { a: 4_000_000_000 } } }, "gives a token the id 4000000000"],
  ["an id that is no number", { model: { ...model, vocab: { a: "0" } } }, 'gives a token the id "0"'],
  ["added tokens that are no list", { added_tokens: {} }, "has a key 'added_tokens' that is no list"],
  ["an added token that is no token", { added_tokens: [null] }, "gives a token the id null"],
  ["a kind of decoder that nobody knows", { decoder: { type: "Magic" } }, "cannot be used: Unknown Decoder type: Magic"],
  ["no merges", { model: { type: "BPE", vocab: { a: 0 } } }, "cannot be used"],
])("a tokenizer.json with %s is refused", (_what, changes, message) => {
  expect(() => createTokenizer({ ...JSON_FILE, ...changes })).toThrow(expect.objectContaining({ code: "PRETRAINED_TOKENIZER", message: expect.stringContaining(message) as string }) as Error);
});

test("what only shows in use is told in use", () => {
  expect(() => createTokenizer({ ...JSON_FILE, pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" } })).toThrow("[PRETRAINED_TOKENIZER] tokenizer.json cannot be used: Invalid regular expression");
  const tokenizer = createTokenizer({ ...JSON_FILE, post_processor: { type: "TemplateProcessing" } });
  expect(() => tokenizer.encode("a")).toThrow("[PRETRAINED_TOKENIZER] tokenizer.json cannot be used");
});

test("tokens called like members of every object are tokens like any other", () => {
  const vocab = JSON.parse('{"__proto__":0,"constructor":1,"toString":2}') as Record<string, number>;
  const added = Object.keys(vocab).map((content, id) => ({ id, content, special: false, normalized: false, single_word: false, lstrip: false, rstrip: false }));
  const tokenizer = createTokenizer({ added_tokens: added, decoder: { type: "Fuse" }, model: { type: "BPE", merges: [], vocab } });
  expect(tokenizer.encode("toString__proto__constructor")).toEqual([2, 0, 1]);
  expect(tokenizer.decode([0, 2])).toBe("__proto__toString");
});
