import { describe, expect, it } from "vitest";
import { capture, evaluate, formula } from "../src/index.ts";

const integers = formula({ a: "i32", b: "i32" });
const floats = formula({ x: "f32" });
const MIN = -2147483648;
const MAX = 2147483647;

describe("integers behave as WGSL's", () => {
  it.each([
    [integers`a + b`, MAX, 1, MIN],
    [integers`a - b`, MIN, 1, MAX],
    [integers`a * b`, 65536, 65537, 65536],
    [integers`-a`, MIN, 0, MIN],
    [integers`abs(a)`, MIN, 0, MIN],
    [integers`idiv(a, b)`, MIN, -1, MIN],
    [integers`a % b`, MIN, -1, 0],
    [integers`idiv(a, b)`, 7, 0, 7],
    [integers`a % b`, 7, 0, 0],
    [integers`a % b`, -7, 3, -1],
    [integers`idiv(a, b)`, -7, 3, -2],
    [integers`(a + 1) + 2147483647`, 0, 0, MIN],
  ])("wrap and divide: case %#", (made, a, b, wanted) => {
    expect(evaluate(made, { a, b })).toEqual([wanted]);
  });

  it("a float becomes an integer towards zero, saturating at the ends", () => {
    const cut = floats`i32(x)`;
    const values = [2.9, -2.9, 3e9, -3e9, NaN].map((x) => evaluate(cut, { x })[0]);
    expect(values).toEqual([2, -2, 2147483520, MIN, 0]);
  });
});

describe("floats", () => {
  it("round halves to even", () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4].map((x) => evaluate(floats`round(x)`, { x })[0]! + 0)).toEqual([0, 2, 2, 0, -2, 2]);
  });

  it("raise any base to a constant whole power, and negative ones to no other", () => {
    expect(evaluate(floats`pow(x, 3)`, { x: -2 })).toEqual([-8]);
    expect(evaluate(floats`pow(x, -2)`, { x: -2 })).toEqual([0.25]);
    expect(evaluate(floats`pow(x, 0)`, { x: -2 })).toEqual([1]);
    expect(evaluate(floats`pow(x, 100)`, { x: -1 })).toEqual([1]);
    expect(evaluate(floats`pow(x, 0.5)`, { x: -2 })).toEqual([NaN]);
  });

  it("keep NaN: 0·x and x − x are not folded", () => {
    expect(evaluate(floats`0 * x, x - x, x == x`, { x: NaN })).toEqual([NaN, NaN, 0]);
  });

  it("keep the sign of zero: x + 0 is not folded, x + −0 is", () => {
    expect(evaluate(floats`x + 0.0`, { x: -0 })).toEqual([0]);
    expect(floats`x + -0.0`.key).toBe(floats`x`.key);
  });

  it("erf is right to float64", () => {
    // Abramowitz and Stegun, table 7.1, and its limit.
    const known: readonly (readonly [number, number])[] = [[0, 0], [0.1, 0.1124629160182849], [0.5, 0.5204998778130465], [1, 0.8427007929497149], [2, 0.9953222650189527], [3, 0.9999779095030014], [7, 1]];
    for (const [x, wanted] of known) {
      expect(evaluate(floats`erf(x)`, { x })[0]).toBeCloseTo(wanted, 15);
      expect(evaluate(floats`erf(x)`, { x: -x })[0]! + 0).toBeCloseTo(-wanted, 15);
    }
    // The two methods meet without a step.
    const [below, above] = [2.5 - 1e-12, 2.5].map((x) => evaluate(floats`erf(x)`, { x })[0]!) as [number, number];
    expect(Math.abs(above - below)).toBeLessThan(1e-14);
  });
});

describe("evaluation", () => {
  const table = capture(Float32Array.of(1, 2, 3), [3], { name: "table" });
  const guarded = formula({ i: "i32" })`i < 3 ? ${table}[i] : 0`;

  it("reads a table only where the value is needed", () => {
    expect(evaluate(guarded, { i: 7 })).toEqual([0]);
    expect(evaluate(formula({ i: "i32" })`i < 3 && ${table}[i] > 1`, { i: 7 })).toEqual([0]);
    expect(evaluate(formula({ i: "i32" })`i >= 3 || ${table}[i] > 1`, { i: 7 })).toEqual([1]);
  });

  it("reads row by row", () => {
    const matrix = capture(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);
    expect(evaluate(formula({ i: "i32", j: "i32" })`${matrix}[i, j]`, { i: 1, j: 0 })).toEqual([4]);
  });
});
