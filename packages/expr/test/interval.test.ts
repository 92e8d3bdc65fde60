import { describe, expect, it } from "vitest";
import { type Interval, capture, evaluate, formula, intervalEvaluator, intervalOf, maskMod, placeholder, scalar, truthOf, type Program } from "../src/index.ts";

const MIN = -2147483648;
const MAX = 2147483647;
const ints = formula({ a: "i32", b: "i32" });
const floats = formula({ x: "f32", y: "f32" });
const whole = (lo: number, hi: number): Interval => ({ lo, hi, nan: false });
const anyI32 = whole(MIN, MAX);

describe("the interval of integers", () => {
  it.each<[Program, readonly [number, number], readonly [number, number], Interval]>([
    [ints`a + b`, [1, 5], [-2, 3], whole(-1, 8)],
    [ints`a * b`, [-2, 3], [-5, 7], whole(-15, 21)],
    [ints`a * a`, [-2, 3], [0, 0], whole(0, 9)],
    [ints`abs(a)`, [-2, 3], [0, 0], whole(0, 3)],
    [ints`clamp(a, b, 10)`, [-20, 20], [-3, 4], whole(-3, 10)],
    [ints`idiv(a, b)`, [-9, 9], [2, 4], whole(-4, 4)],
    [ints`idiv(a, b)`, [-9, 9], [-1, 2], whole(-9, 9)],
    [ints`a % 4`, [5, 7], [0, 0], whole(1, 3)],
    [ints`a % 4`, [-7, -5], [0, 0], whole(-3, -1)],
    [ints`a % 4`, [-2, 9], [0, 0], whole(-2, 3)],
    [ints`a % b`, [-9, 2], [0, 5], whole(-4, 2)],
    [ints`a > 0 ? b : 7`, [1, 5], [2, 3], whole(2, 3)],
    [ints`a > 2 ? b : 7`, [1, 5], [2, 3], whole(2, 7)],
  ])("case %# is exact", (made, a, b, wanted) => {
    expect(intervalOf(made, { a, b })).toEqual([wanted]);
  });

  it("takes sums together: what cancels is not counted twice", () => {
    expect(intervalOf(ints`a - b + b`, { a: [1, 2], b: [0, 100] })).toEqual([whole(1, 2)]);
    expect(intervalOf(ints`(a + b) * 3 - (b - 5) * 3`, { a: [1, 2], b: [0, 100] })).toEqual([whole(18, 21)]);
    expect(intervalOf(ints`a + b < b + 3`, { a: [0, 2], b: [0, 100] }).map(truthOf)).toEqual([true]);
    expect(intervalOf(ints`a + b == b + 3`, { a: [0, 2], b: [0, 100] }).map(truthOf)).toEqual([false]);
  });

  it("that overflows all alike is shifted, one that overflows in part is anything", () => {
    expect(intervalOf(ints`a + b`, { a: [MAX - 1, MAX], b: 2 })).toEqual([whole(MIN, MIN + 1)]);
    expect(intervalOf(ints`a + b`, { a: [MAX - 2, MAX], b: 2 })).toEqual([anyI32]);
    expect(intervalOf(ints`a * b`, { a: [65536, 65537], b: 65536 })).toEqual([whole(0, 65536)]);
    expect(intervalOf(ints`a * b`, { a: [0, 65537], b: 65536 })).toEqual([anyI32]);
    expect(intervalOf(ints`a * 65536 * 65536`, { a: [1, 5], b: 0 })).toEqual([whole(0, 0)]);
    expect(intervalOf(ints`-a`, { a: MIN, b: 0 })).toEqual([whole(MIN, MIN)]);
    expect(intervalOf(ints`abs(a)`, { a: [MIN, 5], b: 0 })).toEqual([anyI32]);
    expect(intervalOf(ints`idiv(a, b)`, { a: MIN, b: -1 })).toEqual([whole(MIN, MIN)]);
  });

  it("that overflow are not compared by their difference", () => {
    // a + b wraps to the smallest i32 here, so it is below b although a > 0.
    const made = ints`a + b > b`;
    expect(evaluate(made, { a: 1, b: MAX })).toEqual([0]);
    expect(intervalOf(made, { a: 1, b: [5, MAX] }).map(truthOf)).toEqual(["either"]);
    expect(intervalOf(made, { a: 1, b: [5, MAX - 1] }).map(truthOf)).toEqual([true]);
  });
});

describe("the interval of floats", () => {
  it("is rounded outwards to f32, and left alone where f32 is exact", () => {
    expect(intervalOf(floats`x + y`, { x: [1, 2], y: [0.5, 0.5] })).toEqual([whole(1.5, 2.5)]);
    const [third] = intervalOf(floats`x / 3`, { x: 1, y: 0 });
    expect(third!.lo).toBeLessThan(1 / 3);
    expect(third!.hi).toBeGreaterThan(1 / 3);
    expect(third!.hi - third!.lo).toBeLessThan(1e-6);
    const [total] = intervalOf(floats`x + y`, { x: 1, y: 1e-30 });
    expect(total).toEqual(whole(1 - 2 ** -24, 1 + 2 ** -23));
    const [constant] = intervalOf(floats`0.1`, { x: 0, y: 0 });
    expect([constant!.lo < 0.1, constant!.hi > 0.1]).toEqual([true, true]);
  });

  it("x − x of one node is 0, and a square is not negative", () => {
    expect(intervalOf(floats`x - x, x * x`, { x: [-2, 3], y: 0 })).toEqual([whole(0, 0), whole(0, 9)]);
  });

  it("tells where NaN may arise", () => {
    const nan = (made: Program, x: readonly [number, number], y: readonly [number, number] = [1, 2]): boolean[] => intervalOf(made, { x, y }).map(({ nan: may }) => may);
    expect(nan(floats`sqrt(x), log(x), rsqrt(x), pow(x, y)`, [0.5, 4])).toEqual([false, false, false, false]);
    expect(nan(floats`sqrt(x), log(x), rsqrt(x), pow(x, y)`, [-0.5, 4])).toEqual([true, true, true, true]);
    expect(nan(floats`x / y, x / y + 1`, [1, 2], [0, 1])).toEqual([true, true]);
    expect(nan(floats`exp(x) - exp(y)`, [0, 80], [0, 80])).toEqual([false]);
    expect(nan(floats`exp(x) - exp(y)`, [0, 100], [0, 100])).toEqual([true]);
  });

  it("a comparison with what may be NaN is never certain to hold", () => {
    expect(intervalOf(floats`sqrt(x) < 10`, { x: [-1, 4], y: 0 }).map(truthOf)).toEqual(["either"]);
    expect(intervalOf(floats`sqrt(x) < 10`, { x: [0, 4], y: 0 }).map(truthOf)).toEqual([true]);
    expect(intervalOf(floats`x == x`, { x: [0, 4], y: 0 }).map(truthOf)).toEqual([true]);
  });

  it("of a wave knows its crests", () => {
    const [sine, cosine, far] = intervalOf(floats`sin(x), cos(x), sin(x * 1000000.0)`, { x: [1, 2], y: 0 });
    expect(sine).toEqual({ lo: expect.closeTo(Math.sin(1), 5) as number, hi: 1, nan: false });
    expect(cosine).toEqual({ lo: expect.closeTo(Math.cos(2), 5) as number, hi: expect.closeTo(Math.cos(1), 5) as number, nan: false });
    expect(far).toEqual(whole(-1, 1));
  });
});

describe("the interval of a capture", () => {
  const numbers = Int32Array.from({ length: 3 * 1000 }, (_, i) => Math.imul(i, 2654435761) >> 8);
  const table = capture(numbers, [3, 1000], { name: "table" });
  const read = formula({ i: "i32", j: "i32" })`${table}[i, j]`;

  it("is the least and the greatest that the index may reach", () => {
    const run = intervalEvaluator(read);
    for (const [i0, i1, j0, j1] of [[0, 2, 0, 999], [1, 1, 0, 0], [1, 1, 17, 900], [0, 1, 100, 131], [2, 2, 15, 16], [0, 2, 990, 999], [0, 2, 3, 18]] as const) {
      const reached = [0, 1, 2].filter((i) => i >= i0 && i <= i1).flatMap((i) => [...numbers.subarray(1000 * i + j0, 1000 * i + j1 + 1)]);
      expect(run({ i: [i0, i1], j: [j0, j1] })).toEqual([whole(Math.min(...reached), Math.max(...reached))]);
    }
  });

  it("leaves out what lies outside the table", () => {
    expect(intervalOf(read, { i: [-5, 0], j: [-3, 4] })).toEqual(intervalOf(read, { i: 0, j: [0, 4] }));
    expect(intervalOf(read, { i: 0, j: [1000, 1001] })).toEqual([anyI32]);
  });

  it("follows its data", () => {
    const cap = scalar(2);
    const run = intervalEvaluator(formula({})`${cap} < 3`);
    expect(run({}).map(truthOf)).toEqual([true]);
    cap.value = 4;
    expect(run({}).map(truthOf)).toEqual([false]);
  });

  it("of NaN is NaN, and other numbers keep their bounds", () => {
    const holed = capture(Float32Array.of(1, NaN, 3), [3]);
    expect(intervalOf(formula({ i: "i32" })`${holed}[i]`, { i: [0, 2] })).toEqual([{ lo: 1, hi: 3, nan: true }]);
  });

  it("that is learned, or a placeholder, is anything unless the caller knows more", () => {
    const learned = capture(Float32Array.of(1, 2), [2], { learned: true });
    const bound = placeholder([2], { name: "bound", type: "i32" });
    const made = formula({ i: "i32" })`${learned}[i], ${bound}[i]`;
    expect(intervalOf(made, { i: [0, 1] })).toEqual([{ lo: -Infinity, hi: Infinity, nan: true }, anyI32]);
    expect(intervalOf(made, { i: [0, 1] }, new Map([[learned, whole(1, 2)], [bound, whole(0, 9)]]))).toEqual([whole(1, 2), whole(0, 9)]);
  });
});

describe("a refused range", () => {
  it.each([
    [{ a: [2, 1] as const, b: 0 }, "variable 'a' was given the range 2 to 1; expected i32"],
    [{ a: 0.5, b: 0 }, "variable 'a' was given 0.5; expected i32"],
    [{ a: 0 }, "variable 'b' was given undefined; expected i32"],
  ])("case %# says what was given", (ranges, part) => {
    expect(() => intervalOf(ints`a + b`, ranges)).toThrow(`[EXPR_INPUT] ${part}`);
  });
});

describe("blocks of a mask", () => {
  const documents = capture(Int32Array.from({ length: 96 }, (_, i) => Math.floor(i / 21)), [1, 96], { name: "documents" });
  const shapes: readonly (readonly [string, Program])[] = [
    ["causal", maskMod`kv <= q`],
    ["window", maskMod`kv <= q && q - kv < 20`],
    ["symmetric window", maskMod`abs(q - kv) <= 13`],
    ["prefix", maskMod`kv <= q || kv < 27`],
    ["documents", maskMod`${documents}[b, q] == ${documents}[b, kv]`],
    ["documents, causal", maskMod`${documents}[b, q] == ${documents}[b, kv] && kv <= q`],
    ["documents, windowed", maskMod`${documents}[b, q] == ${documents}[b, kv] && abs(q - kv) < 9`],
    ["chunks", maskMod`idiv(q, 12) == idiv(kv, 12) && kv <= q`],
    ["dilated", maskMod`kv <= q && (q - kv) % 3 == 0`],
    ["sinks", maskMod`kv <= q && (kv < 4 || q - kv < 16)`],
    ["by head", maskMod`kv <= q && q - kv < 8 * (h + 1)`],
    ["half the batch", maskMod`b < 1 ? kv <= q : true`],
    ["full", maskMod`true`],
  ];

  it.each(shapes)("are full, empty or neither exactly as their cells say: %s", (_, mask) => {
    const run = intervalEvaluator(mask);
    for (const [queries, keys] of [[16, 16], [16, 32], [32, 8], [1, 24]] as const) {
      for (let h = 0; h < 2; h++) {
        for (let q = 0; q < 96; q += queries) {
          for (let kv = 0; kv < 96; kv += keys) {
            const [block] = run({ b: 0, h, q: [q, q + queries - 1], kv: [kv, kv + keys - 1] });
            expect(truthOf(block!), `h ${h} q ${q} kv ${kv}`).toBe(bruteForce(mask, h, q, kv, queries, keys));
          }
        }
      }
    }
  });

  it("may be undecided though all cells agree, where two halves of a condition take turns", () => {
    const mask = maskMod`kv < 4 || q - kv < 30`;
    expect(bruteForce(mask, 0, 0, 0, 32, 32)).toBe(true);
    expect(intervalOf(mask, { b: 0, h: 0, q: [0, 31], kv: [0, 31] }).map(truthOf)).toEqual(["either"]);
  });
});

function bruteForce(mask: Program, h: number, q0: number, kv0: number, queries: number, keys: number): boolean | "either" {
  const seen = new Set<number>();
  for (let q = q0; q < q0 + queries; q++) for (let kv = kv0; kv < kv0 + keys; kv++) seen.add(evaluate(mask, { b: 0, h, q, kv })[0]!);
  return seen.size > 1 ? "either" : seen.has(1);
}
