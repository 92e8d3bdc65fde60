import { describe, expect, it } from "vitest";
import { capture, derivative, emitWgsl, floatLiteral, formula, join, linearIndex } from "../src/index.ts";

const vars = { x: "x", i: "i" };
const form = formula({ x: "f32", i: "i32" });

describe("WGSL", () => {
  it("float literals read back as exactly the nearest f32", () => {
    const bits = new Uint32Array(1);
    const float = new Float32Array(bits.buffer);
    for (let n = 0, seed = 12345; n < 20_000; n++) {
      seed = Math.imul(seed, 1664525) + 1013904223;
      bits[0] = seed;
      const value = float[0]!;
      if (!Number.isFinite(value)) continue;
      const [, digits] = /^\(?(.*)f\)?$/.exec(floatLiteral(value))!;
      expect(Math.fround(Number(digits))).toBe(value);
      expect(digits).toMatch(/[.e]/);
    }
    expect(floatLiteral(0.1)).toBe("0.1f");
    expect(floatLiteral(-0)).toBe("(-0.0f)");
    expect(floatLiteral(3.4028234663852886e38)).toBe("3.4028235e+38f");
  });

  it("what is used twice is computed once", () => {
    const { statements, results } = emitWgsl(form`s = exp(x); s * s + s`, { vars, prefix: "p" });
    expect(statements).toBe("let p0 = exp(min(x, 88.72f));");
    expect(results).toEqual(["((p0 * p0) + p0)"]);
  });

  it("what several outputs have in common is computed once", () => {
    expect(emitWgsl(form`exp(x), exp(x) * 2, exp(x)`, { vars })).toMatchObject({ statements: "let t0 = exp(min(x, 88.72f));", results: ["t0", "(t0 * 2.0f)", "t0"] });
    for (const made of [form`exp(x) * i`, form`tanh(x / 30) * 30`, form`x * sigmoid(x)`, form`sqrt(x * x + i)`]) {
      const { statements, results } = emitWgsl(join(made, derivative(made, "x")), { vars });
      const calls = [statements, ...results].join("\n").match(/\b(exp|expr_tanh|sqrt)\(/g);
      expect(calls).toHaveLength(1);
    }
  });

  it("helpers come once each, by name", () => {
    const { helpers } = emitWgsl(form`sin(x) + cos(x) + erf(x) + erf(x + 1)`, { vars });
    expect(Object.keys(helpers).sort()).toEqual(["expr_erf", "expr_sin"]);
    expect(emitWgsl(form`x + 1`, { vars }).helpers).toEqual({});
  });

  it("deep expressions are cut into statements", () => {
    const deep = form(({ x }) => Array.from({ length: 100 }).reduce<typeof x | ReturnType<typeof x.add>>((sum) => sum.add(x), x));
    const { statements, results } = emitWgsl(deep, { vars });
    const depth = Math.max(...[...statements.split("\n"), ...results].map((line) => line.split("(").length));
    expect(depth).toBeLessThan(30);
    expect(statements).not.toBe("");
  });

  it("captures are read through the kernel's own reader", () => {
    const table = capture(new Float32Array(12), [2, 2, 3], { name: "table" });
    const { results } = emitWgsl(form`${table}[1, i, 2]`, { vars, read: ({ name, shape }, index) => `${name}[${linearIndex(shape, index)}]` });
    expect(results).toEqual(["table[u32(((1i * 2i + i) * 3i + 2i))]"]);
  });

  it("the smallest i32 has no literal and is computed", () => {
    expect(emitWgsl(form`max(i, -2147483648)`, { vars }).results).toEqual(["max(i, (-2147483647i - 1i))"]);
  });
});
