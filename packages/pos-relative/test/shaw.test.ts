import { flash } from "@polyhead/attn-flash";
import { mha, multiHeadReference, reference } from "@polyhead/attn-mha";
import { array64, capture, causal, queryHook, type AttentionContext, type ScoreHook } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { clippedDistance, shaw, shawScore } from "../src/index.ts";
import { dims } from "./dims.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const [heads, kvHeads, headDim, width, R] = [4, 2, 8, dims.width, 2];
const layer = mha.create({ heads, kvHeads, headDim }, dims);
const [hook] = shaw.create({ maxDistance: R }, dims).hooks as readonly [ScoreHook];
const rows = hook.queries!.rows;
const values = Object.fromEntries([...Object.entries(layer.params), ["rows", { shape: rows.shape }] as const].map(([name, { shape }], n) => [name, { shape, data: uniform(shape.reduce((a, b) => a * b, 1), 20 + n) }]));

type Attention = AttentionContext<Tensor>;
const contextOf = (table: Tensor, kernel: Attention["plan"]["kernel"], lowering: "inline" | "tensor" = "inline"): Attention => ({
  hooks: [{ hook, params: { rows: table } }], mask: causal(), plan: { kernel, how: { shaw: lowering } }, offset: 0, dropout: 0,
});
/** The same hook with rows in float64: differences of float32 would drown in its steps. */
const exact = queryHook({ id: "shaw", rows: capture(new Float64Array(rows.data.length), rows.shape, { name: "rows", learned: true }), row: hook.queries!.row });

describe("Shaw's relative positions", () => {
  for (const [kernel, lowering] of [[reference, "inline"], [reference, "tensor"], [flash, "inline"]] as const) {
    it(`give queries, rows and all weights the gradients of float64: '${kernel.name}', ${lowering}`, async () => {
      // Of 5 queries, in a table of 8 rows.
      const x = { shape: [2, 5, width], data: uniform(10 * width, 1) };
      await checkGradients(
        {
          inputs: { x, ...values },
          reference: (v) => {
            exact.queries!.rows.set(v["rows"]!);
            return multiHeadReference({ x: array64(v["x"]!, x.shape), heads, kvHeads, headDim, qkv: v["qkv.weight"]!, qkvBias: v["qkv.bias"]!, out: v["out.weight"]!, outBias: v["out.bias"]!, score: [exact] });
          },
          run: onEngine(engine, ({ x: input, rows: table, ...weights }) => engine.scope(() => layer.apply(input!, weights, contextOf(table!, kernel, lowering)))),
        },
        { entries: 12 },
      );
    });
  }

  it("are the same numbers from a cache, in parts that wrap around the table of products", async () => {
    const params = Object.fromEntries(Object.entries(values).map(([name, { shape, data }]) => [name, engine.tensor(data, shape)]));
    const x = engine.tensor(uniform(14 * width, 2), [1, 14, width]);
    const context = contextOf(params["rows"]!, reference);
    const whole = await engine.noGrad(() => layer.apply(x, params, context)).read();
    for (const kind of ["dense", "static"] as const) {
      const cache = layer.createCache(engine, { batch: 1, capacity: 16, kind });
      const parts: number[] = [];
      let at = 0;
      for (const count of [5, 6, 1, 1, 1]) {
        parts.push(...(await engine.noGrad(() => layer.apply(x.narrow(1, at, count), params, { ...context, cache, offset: at })).read()));
        at += count;
      }
      assertClose(parts, whole, { label: `outputs of a ${kind} cache` });
    }
  });

  it("add the product of the query with the row of the clipped distance", () => {
    const data = Float64Array.from(uniform(rows.data.length, 9));
    const q = Float64Array.from(uniform(headDim, 8));
    const row = data.slice(clippedDistance(7, 4, R) * headDim).slice(0, headDim);
    expect(shawScore(q, data, 7, 4)).toBeCloseTo(q.reduce((sum, value, d) => sum + value * row[d]!, 0) / Math.sqrt(headDim), 12);
    expect(shawScore(q, data, 7, 0)).toBe(shawScore(q, data, 7, 5));
  });

  it("name the hook whose rows were not bound", () => {
    const zeros = engine.zeros([1, 2, width]);
    const params = Object.fromEntries(Object.entries(layer.params).map(([name, { shape }]) => [name, engine.zeros(shape)]));
    expect(() => layer.apply(zeros, params, { ...contextOf(zeros, reference), hooks: [{ hook, params: {} }] })).toThrow(/ATTN_TABLE.*'shaw'/s);
  });
});
