import { describe, expect, it } from "vitest";
import { capture, checkIndices, evaluate, indexError, indexSites, maskMod, placeholder, scalar, scoreMod, type Program } from "../src/index.ts";

const bias = capture(new Float32Array(2 * 9), [2, 9], { name: "bias", learned: true });
const ids = capture(new Int32Array(8), [8], { name: "ids" });
const ranges = { score: [-1, 1], b: 0, h: [0, 1], q: [0, 9], kv: [0, 9] } as const;
const verdicts = (made: Program): string[] => checkIndices(made, ranges).map(({ verdict }) => verdict);

describe("index sites", () => {
  it("are every load once, branches included, scalars left out", () => {
    const sites = indexSites(scoreMod`q < 3 ? score * ${scalar(2)} + ${bias}[h, q] + ${bias}[h, q] : ${bias}[h, kv]`);
    expect(sites.map(({ capture: table, slot }) => [table, slot])).toEqual([[bias, 1], [bias, 1]]);
    expect(sites.map(({ index }) => evaluate(index, { score: 0, b: 0, h: 1, q: 2, kv: 5 }))).toEqual([[1, 2], [1, 5]]);
  });
});

describe("an index", () => {
  it("that cannot leave its table is inside", () => {
    expect(verdicts(scoreMod`score + ${bias}[h, clamp(kv - q, -4, 4) + 4]`)).toEqual(["inside", "inside"]);
  });

  it("that leaves it at a corner is outside, and the sentence says where", () => {
    const [, found] = checkIndices(scoreMod`score + ${bias}[h, kv - q + 4]`, ranges);
    expect(found).toMatchObject({ verdict: "outside", axis: 1, interval: { lo: -5, hi: 13 }, at: { q: 0, kv: 9 } });
    expect(found!.sentence).toBe("index 1 of capture 'bias', ((kv - q) + 4), is 13 at kv = 9, q = 0; expected 0 to 8");
    expect(indexError(found!)).toMatchObject({ code: "EXPR_INDEX", summary: found!.sentence });
    expect(() => evaluate(scoreMod`score + ${bias}[h, kv - q + 4]`, { score: 0, b: 0, h: 0, q: 0, kv: 9, ...found!.at })).toThrow("is 13; expected 0 to 8");
  });

  it("that leaves it only between the corners is unproven", () => {
    const [found] = checkIndices(maskMod`${ids}[q * (9 - q)] > 0`, ranges);
    expect(found).toMatchObject({ verdict: "unproven", at: undefined, interval: { lo: 0, hi: 81 } });
    expect(found!.sentence).toContain("lies in 0 to 81 as far as intervals tell; expected 0 to 7");
  });

  it("that a guard keeps in its table is inside", () => {
    for (const made of [
      maskMod`q < 8 && kv < 8 && ${ids}[q] == ${ids}[kv]`,
      scoreMod`q >= 8 ? score : score + ${ids}[q]`,
      maskMod`q > 7 || ${ids}[q] > 0`,
      maskMod`kv <= q && q - kv < 8 && ${ids}[q - kv] > 0`,
      maskMod`q == kv + 2 && ${ids}[q - kv] > 0`,
      maskMod`q > 9 && ${ids}[q] > 0`,
    ]) {
      expect(new Set(verdicts(made))).toEqual(new Set(["inside"]));
    }
  });

  it("behind a guard that is too much for the proof is not accused", () => {
    expect(verdicts(maskMod`q * q < 64 && ${ids}[q] > 0`)).toEqual(["unproven"]);
    expect(verdicts(maskMod`q < 8 && ${ids}[q] > 0 || q < 5 && kv < 5 && ${ids}[q] > 1`)).toEqual(["unproven"]);
  });

  it("behind a guard that lets it through is accused", () => {
    expect(verdicts(maskMod`q < 9 && ${ids}[q] > 0`)).toEqual(["unproven"]);
    expect(verdicts(maskMod`q > 3 && ${ids}[q] > 0`)).toEqual(["outside"]);
    expect(verdicts(maskMod`q < 8 && ${ids}[q] > 0 || ${ids}[q] > 1`)).toEqual(["outside"]);
    // q + 2³¹ − 1 wraps, and is negative for every q from 1 on.
    expect(verdicts(maskMod`q + 2147483647 < 0 && ${ids}[q] > 0`)).toEqual(["outside"]);
  });

  it("of a placeholder is checked, though its numbers are not known", () => {
    const documents = placeholder([8], { name: "documents", type: "i32" });
    expect(verdicts(maskMod`${documents}[q] == ${documents}[kv]`)).toEqual(["outside", "outside"]);
    expect(verdicts(maskMod`${ids}[${documents}[min(q, 7)]] > 0`)).toEqual(["inside", "unproven"]);
  });
});
