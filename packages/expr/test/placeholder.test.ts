import { describe, expect, it } from "vitest";
import { capture, captureDerivatives, emitWgsl, evaluate, formula, isPlaceholder, placeholder, scoreMod } from "../src/index.ts";

const bias = placeholder([2, 3], { name: "bias" });
const table = capture(new Float32Array(6), [2, 3], { name: "bias", learned: true });
const at = { score: 1, b: 0, h: 1, q: 0, kv: 2 };

describe("a placeholder", () => {
  it("is a learned capture with a shape and no numbers", () => {
    expect(isPlaceholder(bias)).toBe(true);
    expect(isPlaceholder(table)).toBe(false);
    expect([bias.shape, bias.type, bias.learned, bias.data.length]).toEqual([[2, 3], "f32", true, 0]);
  });

  it("of integers is bound but not learned", () => {
    const documents = placeholder([1, 4], { name: "documents", type: "i32" });
    expect([documents.type, documents.learned]).toEqual(["i32", false]);
    const same = formula({ q: "i32", kv: "i32" })`${documents}[0, q] == ${documents}[0, kv]`;
    const bindings = new Map([[documents, [0, 0, 1, 1]]]);
    expect([evaluate(same, { q: 0, kv: 1 }, bindings), evaluate(same, { q: 1, kv: 2 }, bindings)]).toEqual([[1], [0]]);
  });

  it("stands in code as a table of its shape does", () => {
    const read = (_: unknown, index: readonly string[]): string => `t[${index.join(", ")}]`;
    const vars = { score: "score", b: "b", h: "h", q: "q", kv: "kv" };
    const [one, other] = [scoreMod`score + ${bias}[h, kv - q]`, scoreMod`score + ${table}[h, kv - q]`];
    expect(one.key).toBe(other.key);
    expect(emitWgsl(one, { vars, read })).toEqual(emitWgsl(other, { vars, read }));
    expect(captureDerivatives(one).map(({ capture: each }) => each)).toEqual([bias]);
  });

  it("is evaluated with the numbers bound at each call, as any capture may be", () => {
    for (const each of [bias, table]) {
      const made = scoreMod`score + ${each}[h, kv - q]`;
      expect(evaluate(made, at, new Map([[each, [1, 2, 3, 4, 5, 6]]]))).toEqual([7]);
      expect(evaluate(made, at, new Map([[each, [1, 2, 3, 4, 5, 60]]]))).toEqual([61]);
    }
    expect(evaluate(scoreMod`score + ${table}[h, kv - q]`, at)).toEqual([1]);
  });

  it("that nobody bound is refused where it is read, and only there", () => {
    const made = scoreMod`q > 0 ? score + ${bias}[h, 0] : score`;
    expect(evaluate(made, at)).toEqual([1]);
    expect(() => evaluate(made, { ...at, q: 1 })).toThrow("[EXPR_CAPTURE] placeholder 'bias' of shape [2, 3] has no numbers and none are bound\n  fix: pass new Map");
    expect(() => { bias.set([]); }).toThrow("has no numbers");
  });

  it("bound to another count of numbers is refused", () => {
    expect(() => evaluate(scoreMod`score + ${bias}[h, 0]`, at, new Map([[bias, [1, 2]]]))).toThrow("[EXPR_CAPTURE] capture 'bias' of shape [2, 3] was bound to 2 numbers; expected 6");
    expect(() => placeholder([2, 0], { name: "empty" })).toThrow("capture 'empty' has shape [2, 0]; expected positive whole extents");
  });
});
