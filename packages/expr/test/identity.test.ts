import { describe, expect, it } from "vitest";
import { capture, derivative, evaluate, formula, join, scalar, scoreMod, topological } from "../src/index.ts";

describe("identity of expressions", () => {
  it("equal subexpressions of a program are one node", () => {
    const { outputs } = formula({ x: "f32" })`tanh(x + 1) * tanh(x + 1)`;
    expect(outputs[0]!.args[0]).toBe(outputs[0]!.args[1]);
  });

  it("a capture is itself, never its name", () => {
    const one = capture(Float32Array.of(1), [1], { name: "same" });
    const two = capture(Float32Array.of(2), [1], { name: "same" });
    const both = formula({})`${one}[0] - ${two}[0]`;
    expect(both.captures).toEqual([one, two]);
    expect(evaluate(both, {})).toEqual([-1]);
    expect(formula({})`${one}[0] - ${one}[0]`.key).not.toBe(both.key);
  });

  it("the key tells structure, not data: another table of the same shape has the same key", () => {
    const key = (shape: number[], learned = false): string => {
      const table = capture(new Float32Array(shape.reduce((a, b) => a * b)), shape, { learned });
      return formula({ i: "i32" })`${table}[i, i]`.key;
    };
    expect(key([2, 3])).toBe(key([2, 3]));
    expect(key([2, 3])).not.toBe(key([3, 2]));
    expect(key([2, 3])).not.toBe(key([2, 3], true));
  });

  it("the key tells constants, variables and their types apart", () => {
    const keys = [
      formula({ x: "f32", y: "f32" })`x + 1.0`,
      formula({ x: "f32", y: "f32" })`y + 1.0`,
      formula({ x: "f32", y: "f32" })`x + 2.0`,
      formula({ x: "i32", y: "f32" })`x + 1`,
      formula({ x: "f32", y: "f32" })`x * 0.0`,
      formula({ x: "f32", y: "f32" })`x * -0.0`,
    ].map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it("expressions of two builders merge into one graph", () => {
    const first = formula({ x: "f32" })`tanh(x) * 2.0`;
    const second = formula({ x: "f32" })(({ x }) => x.tanh().add(first.outputs[0]! as typeof x));
    expect(topological(second.outputs).filter(({ op }) => op === "tanh")).toHaveLength(1);
    expect(new Set(topological(second.outputs).map(({ owner }) => owner)).size).toBe(1);
    expect(evaluate(second, { x: 0.5 })[0]).toBeCloseTo(3 * Math.tanh(0.5), 15);
  });

  it("a value and its derivative share what they have in common", () => {
    const swish = formula({ x: "f32" })`x * sigmoid(x)`;
    const both = join(swish, derivative(swish, "x"));
    expect(topological(both.outputs).filter(({ op }) => op === "sigmoid")).toHaveLength(1);
  });

  it("a scalar changes value, not key", () => {
    const cap = scalar(2);
    const capped = scoreMod`min(score, ${cap})`;
    const env = { score: 5, b: 0, h: 0, q: 0, kv: 0 };
    expect(evaluate(capped, env)).toEqual([2]);
    cap.value = 3;
    expect(evaluate(capped, env)).toEqual([3]);
    expect(cap.version).toBe(1);
    expect(scoreMod`min(score, ${cap})`.key).toBe(capped.key);
  });
});
