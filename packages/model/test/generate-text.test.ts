import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { completeText, completeTexts, generateText, type GenerateTextOptions, type StopReason, type TextPiece, type Tokenizer } from "../src/index.ts";
import { small, smallEncoderDecoder } from "./parts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 5 });
const model = small(engine, { context: 24 });
afterAll(() => { gpu.dispose(); });

/** Two bytes that make é, and words. */
const TOKENS = [[0xc3], [0xa9], ..."a|b|nd|e ".split("|").map((word) => [...new TextEncoder().encode(word)]), []];
const tokenizer: Tokenizer = {
  vocabSize: 7,
  encode: (text) => Array.from(text, (c) => 2 + "abne".indexOf(c)),
  decode: (ids) => new TextDecoder().decode(Uint8Array.from(ids.flatMap((id) => TOKENS[id]!))),
};

interface Row {
  text: string;
  ids: number[];
  readonly pieces: TextPiece[];
  reason?: StopReason;
}

async function rows(prompts: string | readonly string[], options: GenerateTextOptions, of: Parameters<typeof generateText>[0] = model): Promise<Row[]> {
  const all: Row[] = Array.from({ length: typeof prompts === "string" ? 1 : prompts.length }, () => ({ text: "", ids: [], pieces: [] }));
  const run = generateText(of, tokenizer, prompts, options);
  for (;;) {
    const { done, value } = await run.next();
    if (done === true) {
      value.forEach((reason, row) => { all[row]!.reason = reason; });
      return all;
    }
    const own = all[value.row]!;
    own.pieces.push(value);
    own.text += value.text;
    own.ids.push(...value.ids);
  }
}

const DRAWN = { tokens: 16, temperature: 4, seed: 1 };

describe("text that is generated", () => {
  it("is the decoded ids without the half of a character at their end, in pieces that are whole", async () => {
    const all = await rows(["a", "ab", "nab", "b", "e", "n", "nn", "bab"], DRAWN);
    for (const { text, ids, pieces, reason } of all) {
      expect([ids.length, reason]).toEqual([16, "length"]);
      expect(text).toBe(tokenizer.decode(ids).replace(/\ufffd+$/, ""));
      for (const piece of pieces.slice(0, -1)) expect(piece.text).not.toBe("");
    }
    expect(all.some(({ text }) => text.includes("é"))).toBe(true);
    expect(all.some(({ pieces }) => pieces.some(({ ids }) => ids.length > 1))).toBe(true);
  });

  it("ends before a stop string that lies across tokens, each row by itself", async () => {
    const free = await rows(["a", "ab", "nab", "b"], DRAWN);
    // The end of one token's text and the begin of the next one's.
    const at = free[2]!.ids.findIndex((id, i) => i > 0 && id === 4 && free[2]!.ids[i + 1]! > 1 && free[2]!.ids[i + 1] !== 6);
    const stop = tokenizer.decode(free[2]!.ids.slice(at, at + 2)).slice(1, 3);
    expect(at).toBeGreaterThan(0);
    const cut = await rows(["a", "ab", "nab", "b"], { ...DRAWN, stop });
    expect(cut.map(({ text, reason }) => [text, reason])).toEqual(free.map(({ text, reason }) => (text.includes(stop) ? [text.slice(0, text.indexOf(stop)), "stop-string"] : [text, reason])));
    for (const [row, { ids, reason }] of cut.entries()) {
      expect(free[row]!.ids.slice(0, ids.length)).toEqual(ids);
      if (reason !== "stop-string") continue;
      expect(tokenizer.decode(ids)).toContain(stop);
      expect(tokenizer.decode(ids.slice(0, -1))).not.toContain(stop);
    }
  });

  it("leaves the text of a stop id out, and gives its id in the row's last piece", async () => {
    const [free] = await rows("a", DRAWN);
    const stop = free!.ids[5]!;
    const [cut] = await rows("a", { ...DRAWN, stopIds: [stop] });
    const end = free!.ids.indexOf(stop);
    expect([cut!.ids, cut!.reason]).toEqual([free!.ids.slice(0, end + 1), "stop-id"]);
    expect(cut!.text).toBe(tokenizer.decode(free!.ids.slice(0, end)).replace(/\ufffd+$/, ""));
    expect(cut!.pieces.at(-1)!.ids.at(-1)).toBe(stop);
  });

  it("of one prompt goes on past the context, of a list it does not", async () => {
    const options = { tokens: 40, temperature: 0 };
    const [one, list] = [await rows("ab", options), await rows(["ab"], { ...options, whenFull: "stop" })];
    expect([one[0]!.ids.length, one[0]!.reason, list[0]!.ids.length, list[0]!.reason]).toEqual([40, "length", 23, "context"]);
    await expect(rows(["a", "b"], { ...options, whenFull: "restart" })).rejects.toThrow(/CONFIG_RANGE.*'restart' for 2 prompts/s);
  });

  it("comes collected with its reason and its times", async () => {
    const [want] = await rows("ab", { ...DRAWN, stop: "zz" });
    const { text, ids, reason, timing } = await completeText(model, tokenizer, "ab", { ...DRAWN, stop: ["zz"] });
    expect({ text, ids, reason }).toEqual({ text: want!.text, ids: want!.ids, reason: want!.reason });
    expect(await completeText(model, tokenizer, tokenizer.encode("ab"), DRAWN)).toMatchObject({ text, ids, reason });
    expect([timing.promptTokens, timing.tokens]).toEqual([2, 16]);
    expect(timing.promptTokensPerSecond).toBeCloseTo(2 / timing.promptSeconds, 6);
    expect(timing.decodeTokensPerSecond).toBeCloseTo(15 / timing.decodeSeconds, 6);
    const none = await completeTexts(model, tokenizer, ["a", "ab"], { tokens: 0 });
    expect(none.rows).toEqual([{ text: "", ids: [], reason: "length" }, { text: "", ids: [], reason: "length" }]);
    expect([none.timing.promptTokensPerSecond, none.timing.decodeTokensPerSecond]).toEqual([undefined, undefined]);
  });

  it("can be left at any time, and nothing of it stays on the device", async () => {
    const before = gpu.stats.liveBytes;
    for await (const { text } of generateText(model, tokenizer, ["a", "nab"], { ...DRAWN, repetitionPenalty: 1.1 })) if (text !== "") break;
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("is refused where the tokenizer gives ids that the model does not know", async () => {
    await expect(completeText(model, { ...tokenizer, vocabSize: 8 }, "a", DRAWN)).rejects.toThrow(/TOKENIZER_VOCAB.*ids below 8.*knows 7/s);
    await expect(completeText(model, tokenizer, "", DRAWN)).rejects.toThrow(/MODEL_PROMPT/);
    await expect(completeText(model, tokenizer, "a", { ...DRAWN, stop: "" })).rejects.toThrow(/CONFIG_RANGE.*stop string is empty/s);
  });
});

describe("an encoder-decoder", () => {
  const answers = smallEncoderDecoder(engine, { context: 24 });

  it("answers each text as it does alone, replayed or not, with the likeliest ids of whole passes", async () => {
    const texts = ["ab", "nabe", "b"];
    const memory = engine.noGrad(() => engine.scope(() => engine.keep(answers.encode(answers.ids(tokenizer.encode("nabe"))).source)));
    const want = [answers.start];
    for (let i = 0; i < 6; i++) {
      const logits = [...(await engine.noGrad(() => engine.scope(() => answers.logits({ source: memory }, answers.ids(want)))).read()).subarray(-7)];
      want.push(logits.indexOf(Math.max(...logits)));
    }
    memory.dispose();
    const options = { tokens: 6, temperature: 0 };
    const before = gpu.stats.liveBytes;
    const alone = [];
    for (const text of texts) alone.push(...(await rows(text, options, answers)));
    expect(alone[1]!.ids).toEqual(want.slice(1));
    for (const replay of [true, false]) {
      const together = await rows(texts, { ...options, replay }, answers);
      expect(together.map(({ ids, text, reason }) => [ids, text, reason])).toEqual(alone.map(({ ids, text, reason }) => [ids, text, reason]));
    }
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("ends when its decoder's context is full, and frees what it read where it is refused", async () => {
    const before = gpu.stats.liveBytes;
    const [full] = await rows("ab", { tokens: 40, temperature: 0 }, answers);
    expect([full!.ids.length, full!.reason]).toEqual([24, "context"]);
    await expect(rows(["a", ""], { tokens: 1 }, answers)).rejects.toThrow(/MODEL_PROMPT.*prompt 1 is empty/s);
    await expect(rows(["a"], { tokens: 1, chunk: 0 }, answers)).rejects.toThrow(/CONFIG_RANGE/);
    expect(gpu.stats.liveBytes).toBe(before);
  });
});
