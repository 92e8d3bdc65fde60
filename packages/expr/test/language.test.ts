import { describe, expect, it } from "vitest";
import { capture, evaluate, formula, maskMod, pairMod, scalar, scoreMod, substitute, type Program } from "../src/index.ts";

const slopes = capture(Float32Array.of(0.5, 0.25), [2], { name: "slopes" });
const table = capture(Float32Array.from({ length: 10 }, (_, i) => i), [2, 5], { name: "table" });
const doc = capture(Int32Array.of(0, 0, 1, 1), [1, 4], { name: "doc" });
const cap = scalar(30, { name: "cap" });
const integers = formula({ a: "i32", b: "i32" });
const at = (made: Program, env: Record<string, number | boolean>): number => evaluate(made, env)[0]!;

describe("templates", () => {
  it("bind as arithmetic does: products before sums, sums before comparisons, && before ||, left to right", () => {
    const env = { a: 7, b: 2 };
    expect(at(integers`a - b - 1`, env)).toBe(4);
    expect(at(integers`a + b * 3`, env)).toBe(13);
    expect(at(integers`a % b * 5`, env)).toBe(5);
    expect(at(integers`-a + b`, env)).toBe(-5);
    expect(at(integers`a < b + 6 && !(b == 2) || true`, env)).toBe(1);
    expect(at(integers`true || false && false`, env)).toBe(1);
    expect(at(integers`a > 9 ? 1 : b > 1 ? 2 : 3`, env)).toBe(2);
  });

  it("divide really by / and wholly by idiv", () => {
    expect(at(integers`a / b`, { a: 7, b: 2 })).toBe(3.5);
    expect(at(integers`idiv(a, b)`, { a: -7, b: 2 })).toBe(-3);
  });

  it("know definitions, comments, several outputs and other programs", () => {
    const inner = formula({ x: "f32" })`x * x // a square`;
    const outer = formula({ x: "f32" })`
      s = x + 1.0;   // shifted
      twice = s + s;
      twice, ${inner}`;
    expect(evaluate(outer, { x: 3 })).toEqual([8, 9]);
  });

  it("take every kind of hole", () => {
    const all = scoreMod`${true} ? score * ${cap} + ${slopes}[h] + ${2} : 0`;
    expect(at(all, { score: 1, b: 0, h: 1, q: 0, kv: 0 })).toBe(32.25);
  });

  it("read the smallest i32 and tell floats from integers", () => {
    expect(integers`-2147483648`.outputs[0]!.leaf.value).toBe(-2147483648);
    expect(integers`2.`.type).toBe("f32");
    expect(integers`2e0`.type).toBe("f32");
    expect(integers`2`.type).toBe("i32");
  });
});

describe("the two front ends", () => {
  const pairs: readonly [string, Program, Program][] = [
    ["sliding window", maskMod`kv <= q && q - kv < ${64}`, maskMod(({ q, kv }) => kv.le(q).and(q.sub(kv).lt(64)))],
    ["documents", maskMod`${doc}[b, q] == ${doc}[b, kv]`, maskMod(({ b, q, kv }) => doc.at(b, q).eq(doc.at(b, kv)))],
    ["dilation", maskMod`(q - kv) % 4 == 0`, maskMod(({ q, kv }) => q.sub(kv).mod(4).eq(0))],
    ["linear bias", scoreMod`score + ${slopes}[h] * (kv - q)`, scoreMod(({ score, h, q, kv }) => score.add(slopes.at(h).mul(kv.sub(q))))],
    ["relative bias", scoreMod`score + ${table}[h, clamp(kv - q, -${2}, ${2}) + ${2}]`, scoreMod(({ score, h, q, kv }) => score.add(table.at(h, kv.sub(q).clamp(-2, 2).add(2))))],
    ["soft cap", scoreMod`tanh(score / ${cap}) * ${cap}`, scoreMod(({ score }) => score.div(cap).tanh().mul(cap))],
    ["comparisons the other way", maskMod`q > kv || q >= b || q != h`, maskMod(({ b, h, q, kv }) => q.gt(kv).or(q.ge(b)).or(q.ne(h)))],
    ["choice", scoreMod`q < kv ? score : 0.5`, scoreMod(({ score, q, kv }) => q.lt(kv).where(score, 0.5))],
    [
      "pairs",
      pairMod`c = cos(f32(position)); s = sin(f32(position)); x0 * c - x1 * s, x0 * s + x1 * c`,
      pairMod(({ x0, x1, position }) => {
        const [c, s] = [position.cos(), position.sin()];
        return [x0.mul(c).sub(x1.mul(s)), x0.mul(s).add(x1.mul(c))];
      }),
    ],
  ];
  it.each(pairs)("give the same key: %s", (_, template, built) => {
    expect(template.key).toBe(built.key);
  });

  it("refuse a mask that is a number, at compile time too", () => {
    // @ts-expect-error a mask must be a condition
    expect(() => maskMod(({ q, kv }) => q.sub(kv))).toThrow("maskMod gave i32; expected bool");
    // @ts-expect-error conditions do not add
    expect(() => maskMod(({ q, kv }) => q.lt(kv).add(1))).toThrow("add was given bool");
  });
});

describe("chaining", () => {
  it("a hook's score may be another hook, in the user's order", () => {
    const chained = substitute(scoreMod`tanh(score / ${cap}) * ${cap}`, { score: scoreMod`score + ${slopes}[h] * (kv - q)` });
    expect(at(chained, { score: 2, b: 0, h: 0, q: 4, kv: 1 })).toBeCloseTo(30 * Math.tanh(0.5 / 30), 14);
    expect(chained.captures).toEqual([slopes, cap]);
  });

  it("a constant put in for a variable is folded", () => {
    const fixed = substitute(maskMod`kv <= q + b`, { b: 0 });
    expect(fixed.key).toBe(substitute(maskMod`kv <= q`, { b: 1 }).key);
    expect(Object.keys(fixed.vars)).toEqual(["h", "q", "kv"]);
  });
});
