import { describe, expect, it } from "vitest";
import { capture, captureDerivatives, derivative, evaluate, formula, scoreMod } from "../src/index.ts";

const floats = formula({ x: "f32", y: "f32" });
const slope = (made: ReturnType<typeof floats>, x: number, y = 0): number => evaluate(derivative(made, "x"), { x, y })[0]! + 0;

describe("the derivative", () => {
  it("at a kink is the documented one", () => {
    expect(slope(floats`abs(x)`, 0)).toBe(0);
    expect(slope(floats`max(x, 0)`, 0)).toBe(1);
    expect(slope(floats`max(0, x)`, 0)).toBe(0);
    expect(slope(floats`min(x, 0)`, 0)).toBe(1);
    expect(slope(floats`min(0, x)`, 0)).toBe(0);
    expect(slope(floats`clamp(x, -1, 1)`, 1)).toBe(1);
    expect(slope(floats`clamp(x, -1, 1)`, -1)).toBe(1);
    expect(slope(floats`clamp(x, -1, 1)`, 1.01)).toBe(0);
  });

  it("of steps is zero, jumps included", () => {
    for (const made of [floats`floor(x)`, floats`ceil(x)`, floats`round(x)`, floats`sign(x)`, floats`f32(i32(x))`, floats`f32(x < y)`]) {
      expect([slope(made, 0), slope(made, 0.5), slope(made, 1)]).toEqual([0, 0, 0]);
    }
  });

  it("of the branch not taken never reaches the result", () => {
    expect(slope(floats`x > 0 ? log(x) : 0`, 0)).toBe(0);
    expect(slope(floats`x > 0 ? sqrt(x) : x`, 0)).toBe(1);
    expect(slope(floats`max(0.0, x) * 1.0`, -1)).toBe(0);
  });

  it("of the exact GELU is Φ(x) + x·φ(x)", () => {
    const gelu = floats`0.5 * x * (1 + erf(x / ${Math.SQRT2}))`;
    for (const x of [-3, -0.5, 0, 1, 2.5]) {
      const cumulative = evaluate(floats`0.5 * (1 + erf(x / ${Math.SQRT2}))`, { x, y: 0 })[0]!;
      expect(slope(gelu, x)).toBeCloseTo(cumulative + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI), 14);
    }
  });

  it("of a power by its exponent is flat at a base of zero", () => {
    expect(evaluate(derivative(floats`pow(x, y)`, "y"), { x: 0, y: 2 })).toEqual([0]);
    expect(evaluate(derivative(floats`pow(x, y)`, "y"), { x: 2, y: 3 })[0]).toBeCloseTo(8 * Math.LN2, 14);
  });

  it("can be taken again", () => {
    const second = derivative(derivative(floats`x * x * x`, "x"), "x");
    expect(evaluate(second, { x: 2, y: 0 })).toEqual([12]);
  });

  it("of several outputs comes in their order", () => {
    expect(evaluate(derivative(floats`x * y, x + y, y`, "x"), { x: 2, y: 3 })).toEqual([3, 1, 0]);
  });
});

describe("the derivative by what is captured", () => {
  const bias = capture(Float32Array.of(1, 2, 3, 4), [2, 2], { name: "bias", learned: true });
  const fixed = capture(Float32Array.of(1, 2), [2], { name: "fixed" });

  it("names each site, its index and the variables the index depends on", () => {
    const sites = captureDerivatives(scoreMod`score * ${bias}[h, 0] + ${fixed}[h] * ${bias}[h, clamp(kv - q, 0, 1)]`);
    expect(sites.map(({ capture: table, slot, indexVars }) => [table, slot, indexVars])).toEqual([
      [bias, 0, ["h"]],
      [bias, 0, ["h", "kv", "q"]],
    ]);
    const env = { score: 3, b: 0, h: 1, q: 0, kv: 5 };
    expect(sites.map(({ index }) => evaluate(index, env))).toEqual([[1, 0], [1, 1]]);
    expect(sites.map(({ derivative: by }) => evaluate(by, env))).toEqual([[3], [2]]);
  });

  it("leaves out tables that are not learned, and sites that nothing depends on smoothly", () => {
    expect(captureDerivatives(scoreMod`score + ${fixed}[h]`)).toEqual([]);
    expect(captureDerivatives(scoreMod`score + floor(${bias}[h, 0])`)).toEqual([]);
  });
});
