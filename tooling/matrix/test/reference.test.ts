import { assertClose, coveringRows, uniform } from "@polyhead/testkit";
import { layer } from "@polyhead/norm-layer";
import { describe, expect, it } from "vitest";
import { assemble, AXES, keyOf } from "../combination.ts";
import { layerReference, seedOf } from "../layer-reference.ts";
import { normGradient } from "../norm-gradient.ts";
import { capturesOf, hookKey, STEP, valuesOf, type Values } from "../values.ts";

const rows = coveringRows({ ...AXES, kernel: ["reference"], mask: ["and", "not"] }, { seed: 5, together: 1 });

describe("the float64 layer that the matrix holds kernels against", () => {
  for (const row of rows) {
    it(`has the gradients of its own output: ${keyOf(row)}`, () => {
      const layerOf = assemble(row);
      if ("refusal" in layerOf) throw new Error(layerOf.refusal);
      const values = valuesOf(layerOf);
      const { gradients } = layerReference(layerOf, values, 3);
      const loss = (name: string, data: Float64Array): number => {
        for (const hook of layerOf.parts.position.hooks) for (const capture of capturesOf(hook)) if (hookKey(hook, capture.name) === name) capture.set(data);
        const given: Values = { ...values, [name]: { ...values[name]!, data } };
        const { output } = layerReference(layerOf, given, 3);
        const seed = seedOf(output.length);
        return output.reduce((sum, y, i) => sum + y * seed[i]!, 0);
      };
      for (const [name, got] of Object.entries(gradients)) {
        const { data } = values[name]!;
        const entries = [...new Set([0, Math.floor(data.length / 2), data.length - 1])];
        // Captures hold f32, which has the numbers a step beside the grid as well.
        const moved = (i: number, by: number): number => loss(name, data.map((x, at) => (at === i ? x + by : x)));
        const slope = (i: number, h: number): number => (moved(i, h) - moved(i, -h)) / (2 * h);
        // Of two steps, what the curvature adds to a difference is taken away (Richardson).
        const want = entries.map((i) => (4 * slope(i, STEP) - slope(i, 2 * STEP)) / 3);
        loss(name, data);
        assertClose(entries.map((i) => got[i]!), want, { rule: { kind: "each", absolute: 1e-6, relative: 1e-5 }, label: name });
      }
    });
  }

  it("differentiates a norm as its closed form does", () => {
    const width = 4;
    const norm = layer.create({ epsilon: 0 }, { width });
    const [x, g] = [Float64Array.from(uniform(width, 1)), Float64Array.from(uniform(width, 2))];
    const params = { weight: new Float64Array(width).fill(1), bias: new Float64Array(width) };
    const y = norm.reference(x, width, params);
    const mean = (f: (i: number) => number): number => [0, 1, 2, 3].reduce((sum, i) => sum + f(i), 0) / width;
    const mu = mean((i) => x[i]!);
    const deviation = Math.sqrt(mean((i) => (x[i]! - mu) ** 2));
    const want = g.map((value, i) => (value - mean((j) => g[j]!) - y[i]! * mean((j) => g[j]! * y[j]!)) / deviation);
    const found = normGradient(norm, x, width, params, g);
    assertClose(found.x, want, { rule: { kind: "each", absolute: 1e-8, relative: 1e-8 } });
    assertClose(found.params["bias"]!, g, { rule: { kind: "each", absolute: 1e-9, relative: 1e-9 } });
    expect(x).toEqual(Float64Array.from(uniform(width, 1)));
  });
});
