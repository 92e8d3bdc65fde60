import { describe, expect, it } from "vitest";
import { TextStream, type TextStreamOptions, type Tokenizer } from "../src/index.ts";

/**
 * Ids 0 to 255 are bytes, those after them words, and the last one is special. Like SentencePiece's: a run of bytes that is no text
 * becomes a replacement a byte, and the space before the first word is dropped.
 */
const WORDS = [" a", " b", " the", "end", "x<|e", "nd|>y", " ", "🙂🙂"];
const SPECIAL = 256 + WORDS.length;
const strict = new TextDecoder("utf-8", { fatal: true });
const tokenizer: Tokenizer = {
  vocabSize: SPECIAL + 1,
  encode: (text) => [...new TextEncoder().encode(text)],
  decode(ids) {
    let text = "";
    let run: number[] = [];
    const flush = (): void => {
      try {
        text += strict.decode(Uint8Array.from(run));
      } catch {
        text += "\ufffd".repeat(run.length);
      }
      run = [];
    };
    for (const id of ids) {
      if (id === SPECIAL) continue;
      if (id < 256) run.push(id);
      else {
        flush();
        text += WORDS[id - 256]!;
      }
    }
    flush();
    return text.replace(/^ /, "");
  },
};
const word = (text: string): number => 256 + WORDS.indexOf(text);
const bytes = (text: string): number[] => tokenizer.encode(text);

/** What is given for each id, and at last for the end. */
function pieces(ids: readonly number[], options: TextStreamOptions = {}): string[] {
  const stream = new TextStream(tokenizer, options);
  return [...ids.map((id) => stream.push(id)), stream.end()];
}

describe("a stream of text", () => {
  it("gives a character when its last byte is there", () => {
    expect(pieces(bytes("é한🙂a"))).toEqual(["", "é", "", "", "한", "", "", "", "🙂", "a", ""]);
  });

  it("joined is the decoded text, however characters and words follow each other", () => {
    for (const ids of [[word(" a"), ...bytes("한"), word(" b")], [...bytes("한한"), word("🙂🙂"), SPECIAL, word(" the")], [SPECIAL, word(" the"), word(" a")], [0xff, ...bytes("a"), word(" a")]]) {
      expect(pieces(ids).join("")).toBe(tokenizer.decode(ids));
    }
  });

  it("keeps the space before the first word after a prompt", () => {
    expect(pieces([word(" a")], { prompt: [word(" the")] })).toEqual([" a", ""]);
    expect(pieces([word(" a")], { prompt: [word(" the"), SPECIAL] })).toEqual([" a", ""]);
    expect(pieces([word(" a")], { prompt: [] })).toEqual(["a", ""]);
  });

  it("looks for a place where a prompt's text may begin, so that bytes of a character in it do no harm", () => {
    expect(pieces(bytes("한"), { prompt: bytes("a한") })).toEqual(["", "", "한", ""]);
  });

  it("leaves out a character that never becomes whole, and gives what stands beside it", () => {
    expect(pieces(bytes("a한").slice(0, -1))).toEqual(["a", "", "", ""]);
    expect(pieces([...bytes("한").slice(0, -1), word(" a")]).join("")).toBe("\ufffd\ufffd a");
  });
});

describe("a stop string", () => {
  it.each(["abXYcd", "XYabc", "abcXY", "X", "XXY", "aXbXY"])("ends the text %s before it, wherever pieces are cut, and no part of it is given", (text) => {
    const end = text.indexOf("XY");
    for (let size = 1; size <= text.length; size++) {
      const cut = Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
      const stream = new TextStream({ ...tokenizer, decode: (ids) => ids.map((i) => cut[i]!).join("") }, { stop: ["XY"] });
      let got = "";
      for (let i = 0; i < cut.length && !stream.stopped; i++) got += stream.push(i);
      expect(got + stream.end()).toBe(end < 0 ? text : text.slice(0, end));
      expect(stream.stopped).toBe(end >= 0);
    }
  });

  it("may begin within one token and end within another, which may hold half a character behind it", () => {
    const stream = new TextStream(tokenizer, { stop: ["<|end|>"] });
    expect([word(" a"), word("x<|e"), word("nd|>y")].map((id) => stream.push(id))).toEqual(["a", "x", ""]);
    expect([stream.stopped, stream.push(word("end")), stream.end()]).toEqual([true, "", ""]);
    const half = new TextStream({ ...tokenizer, decode: (ids) => ids.map(() => "go STOP\ufffd").join("") }, { stop: ["STOP"] });
    expect([half.push(0), half.stopped]).toEqual(["go ", true]);
  });

  it("that is complete first is the one that counts, the longer of two that end together", () => {
    for (const [stop, want] of [[["bcd", "c"], "ab"], [["c", "bc"], "a"], [["zz", "abcd"], ""]] as const) expect(pieces(bytes("abcdef"), { stop }).join("")).toBe(want);
  });

  it("gives what looked like one when the text ends, or goes on otherwise", () => {
    expect(pieces(bytes("aXXb"), { stop: ["XXY"] })).toEqual(["a", "", "", "XXb", ""]);
    expect(pieces(bytes("aXX"), { stop: ["XXY"] })).toEqual(["a", "", "", "XX"]);
    expect(() => pieces([], { stop: [""] })).toThrow(/CONFIG_RANGE.*stop string is empty/s);
  });
});
