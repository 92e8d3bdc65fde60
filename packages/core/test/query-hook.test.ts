import { describe, expect, it } from "vitest";
import { array64, capture, causal, evaluate, formula, hookOfQueries, productRows, queryHook, referenceAttention, referenceGradients, scoreHook, scoreMod, type ReferenceInputs } from "../src/index.ts";
import { ropeHook, softcapHook } from "./fixtures.ts";
import { randoms, worst } from "./numbers.ts";

const draw = randoms(31);
const row = formula({ q: "i32", kv: "i32" })`clamp(kv - q, -2, 2) + 2`;
const rows = capture(Float64Array.from(draw([5, 4]).data), [5, 4], { learned: true, name: "rows" });
const shaw = queryHook({ id: "shaw", rows, row });
const base: ReferenceInputs = { q: draw([2, 4, 3, 4]), k: draw([2, 2, 5, 4]), v: draw([2, 2, 5, 3]), mask: causal(), qOffset: 2, score: [shaw] };
const [dO, dLse] = [draw([2, 4, 3, 3]), draw([2, 4, 3])];

describe("a score hook that reads the queries", () => {
  it("adds what its hook of one call adds, given the products of that call", () => {
    const sizes = { batch: 2, heads: 4, queries: 3 };
    const { hook, products } = hookOfQueries(shaw, sizes)!;
    expect(hookOfQueries(shaw, { ...sizes, queries: 4 })?.hook).toBe(hook);
    const turn = productRows(3);
    const table = new Float64Array(2 * 4 * turn * 5).fill(NaN);
    for (let at = 0; at < 2 * 4 * 3 * 5; at++) {
      const [r, i, bh] = [at % 5, Math.floor(at / 5) % 3, Math.floor(at / 15)];
      let dot = 0;
      for (let d = 0; d < 4; d++) dot += 0.5 * base.q.data[(bh * 3 + i) * 4 + d]! * rows.data[r * 4 + d]!;
      table[(bh * turn + ((2 + i) % turn)) * 5 + r] = dot;
    }
    const bindings = new Map([[products, table]]);
    const bound = { ...hook, reference: (score: number, at: object) => evaluate(hook.program, { score, ...at }, bindings)[0]! };
    expect(worst(referenceAttention({ ...base, score: [bound] }).o, referenceAttention(base).o)).toBeLessThan(1e-15);
  });

  it("gives queries and rows the gradient of central differences, among other hooks and after a rotation", () => {
    const inputs: ReferenceInputs = { ...base, qk: [ropeHook(4)], score: [softcapHook, shaw, scoreHook({ id: "double", program: scoreMod`score * 2.0` })] };
    const { q, captures } = referenceGradients(inputs, dO, dLse);
    const loss = (): number => {
      const { o, lse } = referenceAttention(inputs);
      return o.data.reduce((sum, x, i) => sum + x * dO.data[i]!, lse.data.reduce((sum, x, i) => sum + x * dLse.data[i]!, 0));
    };
    for (const [data, got] of [[inputs.q.data, q], [rows.data as Float64Array, captures.get(rows)!]] as const) {
      const want = data.map((x, i) => {
        const at = (value: number): number => {
          data[i] = value;
          return loss();
        };
        const slope = (at(x + 1e-5) - at(x - 1e-5)) / 2e-5;
        data[i] = x;
        return slope;
      });
      expect(worst(got, array64(want, got.shape))).toBeLessThan(2e-9);
    }
  });

  it("is additive and learned to the planner, and trains its rows alone", () => {
    expect(shaw).toMatchObject({ additive: true, learned: true, params: { rows: { shape: [5, 4], decay: true } } });
    expect(hookOfQueries(softcapHook, { batch: 1, heads: 1, queries: 1 })).toBeUndefined();
  });

  it("refuses to be without queries, rows that are not learned, and rows chosen by anything but places", () => {
    expect(() => shaw.reference(0, { b: 0, h: 0, q: 0, kv: 0 })).toThrow(/HOOK_QUERIES.*shaw/s);
    expect(() => queryHook({ id: "fixed", rows: capture(new Float32Array(4), [2, 2]), row })).toThrow(/HOOK_QUERIES.*a fixed table \[2, 2\]/s);
    expect(() => queryHook({ id: "real", rows, row: formula({ q: "i32" })`f32(q)` })).toThrow(/HOOK_QUERIES.*f32 of \(q\)/s);
  });
});
