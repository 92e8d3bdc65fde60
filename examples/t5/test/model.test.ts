import { openNodeGpu } from "@polyhead/gpu-node";
import { completeText } from "@polyhead/model";
import { createEngine } from "@polyhead/tensor";
import { afterAll, expect, it } from "vitest";
import { toy } from "../model.ts";
import { letters, reversed, trainReversal, wordsOf } from "../reverse.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none" });
afterAll(() => { gpu.dispose(); });

it("words are learned from or tested with, never both", () => {
  const { train, test } = wordsOf("It is a way I have of driving off the spleen, and regulating the circulation. It is a way.");
  expect([...train, ...test].sort()).toEqual(["driving", "have", "is", "it", "of", "off", "spleen", "the", "way", "and"].sort());
  expect(test).toEqual(["it"]);
  expect(reversed("spleen")).toBe("neelps");
});

it("a letter that it does not know is named", () => {
  expect(letters.decode(letters.encode("whale"))).toBe("whale");
  expect(() => letters.encode("Ahab")).toThrow(/TEXT_UNKNOWN_CHARACTER.*'A' is none of the letters/s);
});

it("the toy learns from its first updates, and answers", async () => {
  const model = toy(letters.vocabSize, createEngine(gpu, { seed: 1 }));
  const losses = await trainReversal(model, { words: ["whale", "sea", "of"], steps: 3, batch: 2 });
  expect(losses).toHaveLength(2);
  expect(losses[1]).toBeLessThan(losses[0]!);
  const { ids, reason } = await completeText(model, letters, "whale", { tokens: 4, temperature: 0, stopIds: [1] });
  expect(reason === "length" ? ids.length : ids.at(-1)).toBe(reason === "length" ? 4 : 1);
});
