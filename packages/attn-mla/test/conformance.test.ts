import { openNodeGpu } from "@polyhead/gpu-node";
import type { PagedCache } from "@polyhead/attn-mha";
import { capture, full, scoreHook, scoreMod, window, type KvCache } from "@polyhead/core";
import { cast, createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, checkGradients, onEngine, uniform, type Rule } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { context, type Context, expected, inParts, layerOf, SIZES, tensorsOf, valuesOf, WIDTH } from "./latent-layer.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
/** Of numbers made of halves, which have eleven bits. */
const HALVES: Rule = { kind: "whole", relative: 2e-3 };
/** What a paged cache can do beyond the contract. */
type Paged = KvCache<Tensor> & Pick<PagedCache, "fork" | "pool">;
afterAll(() => { gpu.dispose(); });

describe("the latent layer", () => {
  for (const queryRank of [undefined, 6]) {
    it(`equals the paper's formula in float64, outputs and every gradient, ${queryRank === undefined ? "with plain" : "with compressed"} queries`, async () => {
      const layer = layerOf({ ...(queryRank !== undefined && { queryRank }) });
      const shape = [2, 5, WIDTH];
      await checkGradients(
        {
          inputs: { x: { shape, data: uniform(2 * 5 * WIDTH, 1) }, ...valuesOf(layer) },
          reference: (v) => expected(v, shape, queryRank),
          run: onEngine(engine, ({ x, ...weights }) => engine.scope(() => layer.apply(x!, weights, context()))),
        },
        { entries: 8 },
      );
    });
  }

  it("reads another sequence in cross-attention, whether its latents are remembered or made anew, in either form", async () => {
    const [x, memory] = [engine.tensor(uniform(2 * 3 * WIDTH, 6), [2, 3, WIDTH]), engine.tensor(uniform(2 * 5 * WIDTH, 7), [2, 5, WIDTH])];
    const lengths = engine.tensor([5, 4], [2], { dtype: "i32" });
    for (const decode of ["naive", "absorbed"] as const) {
      const layer = layerOf({ decode });
      const weights = tensorsOf(engine, layer);
      const read = (source: NonNullable<Context["memory"]>): Promise<ArrayLike<number>> => engine.noGrad(() => layer.apply(x, weights, context({ mask: full(), memory: source, lengths }))).read();
      const want = Float64Array.from(await read(memory));
      assertClose(await read(engine.noGrad(() => layer.remember!(memory, weights))), want);
      // What is not attended to does not matter, what is does.
      const other = await memory.read();
      const changed = (row: number): Tensor => engine.tensor(Float32Array.from(other, (value, i) => (Math.floor(i / WIDTH) === row ? 9 : value)), memory.shape);
      expect(await read(changed(9))).toEqual(await read(memory));
      expect(await read(changed(8))).not.toEqual(await read(memory));
    }
  });

  it("lets positions turn the rope features alone, of which the key has one for all heads", () => {
    const { shape, ownsQkHooks, params } = layerOf();
    expect(shape).toEqual({ heads: 3, kvHeads: 3, headDimQK: 9, headDimV: 6, hookDim: 4 });
    expect(ownsQkHooks).toBe(true);
    expect(params["down.weight"]!.shape).toEqual([SIZES.kvRank + SIZES.ropeDim, WIDTH]);
  });

  it("learns biases where they are asked for: of the down-projections and the output, as DeepSeek's code has them", async () => {
    const layer = layerOf({ bias: true, queryRank: 6 });
    expect(Object.keys(layer.params).filter((name) => name.endsWith("bias"))).toEqual(["queryDown.bias", "down.bias", "out.bias"]);
    const weights = tensorsOf(engine, layer);
    const x = engine.tensor(uniform(3 * WIDTH, 4), [1, 3, WIDTH]);
    const without = await engine.noGrad(() => layer.apply(x, Object.fromEntries(Object.entries(weights).filter(([name]) => name !== "out.bias")), context())).read();
    const bias = await weights["out.bias"]!.read();
    assertClose(await engine.noGrad(() => layer.apply(x, weights, context())).read(), Float64Array.from(without, (y, i) => y + bias[i % WIDTH]!));
  });

  it("refuses score hooks that read the queries", () => {
    const layer = layerOf();
    const rows = capture(new Float32Array(3 * 4), [3, 4], { name: "rows", learned: true });
    const hook = { ...scoreHook({ id: "reader", program: scoreMod`score` }), queries: { rows } };
    expect(() => layer.apply(engine.zeros([1, 2, WIDTH]), tensorsOf(engine, layer), context({ mask: full(), hooks: [{ hook: hook as never, params: {} }] }))).toThrow(/ATTN_HOOK.*'reader' reads the queries/);
  });
});

describe("the latent cache", () => {
  const layer = layerOf();
  const weights = tensorsOf(engine, layer);
  const data = uniform(2 * 9 * WIDTH, 3);
  const parts = [4, 2, 1, 1, 1];
  const whole = expected({ x: Float64Array.from(data), ...Object.fromEntries(Object.entries(valuesOf(layer)).map(([name, { data: d }]) => [name, Float64Array.from(d)])) }, [2, 9, WIDTH]);

  for (const kind of ["dense", "static", "paged"] as const) {
    for (const decode of ["absorbed", "naive"] as const) {
      it(`${kind}: ${decode} decode gives the numbers of the whole sequence`, async () => {
        const own = layerOf({ decode });
        const cache = own.createCache(engine, { batch: 2, capacity: 12, kind });
        assertClose(await inParts(engine, (x) => own.apply(x, weights, context({ cache })), cache, { data, batch: 2, parts }), whole);
        cache.dispose();
      });
    }
  }

  for (const kind of ["dense", "static", "paged"] as const) {
    it(`${kind}: slides under a window, in either form, to the numbers of the whole text`, async () => {
      const mask = window(3);
      const text = { data: uniform(40 * WIDTH, 9), batch: 1, parts: [7, ...new Array<number>(10).fill(1), 12, 11] };
      const want = await engine.noGrad(() => layer.apply(engine.tensor(text.data, [1, 40, WIDTH]), weights, context({ mask }))).read();
      const cache = layer.createCache(engine, { batch: 1, capacity: 16, kind, pageSize: 16, overflow: "slide", mask });
      assertClose(await inParts(engine, (x) => layer.apply(x, weights, context({ mask, cache })), cache, text), Float64Array.from(want));
      cache.dispose();
    });
  }

  it("shares pages among texts with one beginning, and copies one that is written to", async () => {
    const fresh = (): Paged => layer.createCache(engine, { batch: 1, capacity: 40, kind: "paged", pageSize: 16, dtype: "f16" }) as Paged;
    const rows = engine.tensor(uniform(20 * WIDTH, 8), [1, 20, WIDTH]);
    const feed = (cache: Paged, at: number, count: number): Promise<ArrayLike<number>> => engine.noGrad(() => layer.apply(rows.narrow(1, at, count).contiguous(), weights, context({ cache }))).read();
    const [first, alone] = [fresh(), fresh()];
    await feed(first, 0, 18);
    const second = first.fork();
    await feed(first, 19, 1);
    await feed(alone, 0, 18);
    expect(await feed(second, 18, 2)).toEqual(await feed(alone, 18, 2));
    expect(alone.pool.pageBytes).toBe(16 * (SIZES.kvRank + SIZES.ropeDim) * 2);
    for (const cache of [first, second, alone]) cache.dispose();
  });

  it("holds kvRank + ropeDim numbers a row, in halves where asked, and then decodes to within their rounding", async () => {
    const cache = layer.createCache(engine, { batch: 2, capacity: 12, kind: "static" });
    expect(cache.bytes).toBe(2 * 12 * (SIZES.kvRank + SIZES.ropeDim) * 4);
    const halves = layer.createCache(engine, { batch: 2, capacity: 12, kind: "static", dtype: "f16" });
    expect(halves.bytes).toBe(cache.bytes / 2);
    for (const decode of ["absorbed", "naive"] as const) {
      const own = layerOf({ decode });
      halves.truncate(0);
      assertClose(await inParts(engine, (x) => own.apply(x, weights, context({ cache: halves })), halves, { data, batch: 2, parts }), whole, { rule: HALVES });
    }
  });

  it("decodes with weights of halves, which have no views, to the same numbers in both forms", async () => {
    const half = { ...weights, "up.weight": cast(weights["up.weight"]!, "f16"), "query.weight": cast(weights["query.weight"]!, "f16") };
    const decoded = async (decode: "absorbed" | "naive"): Promise<Float32Array> => {
      const own = layerOf({ decode });
      const cache = own.createCache(engine, { batch: 2, capacity: 12 });
      const numbers = await inParts(engine, (x) => own.apply(x, half, context({ cache })), cache, { data, batch: 2, parts });
      cache.dispose();
      return numbers;
    };
    const naive = await decoded("naive");
    assertClose(await decoded("absorbed"), Float64Array.from(naive));
    assertClose(naive, whole, { rule: HALVES });
  });

  it("leaves padding on the left out of sight, NaN included", async () => {
    const starts = engine.tensor([0, 2], [2], { dtype: "i32" });
    const positions = engine.tensor(Uint32Array.of(0, 1, 2, 3, 4, 5, 0, 0, 0, 1, 2, 3), [2, 6], { dtype: "u32" });
    const padded = uniform(2 * 6 * WIDTH, 5);
    padded.fill(NaN, 6 * WIDTH, 8 * WIDTH);
    const alone = engine.tensor(padded.slice(8 * WIDTH), [1, 4, WIDTH]);
    const want = await engine.noGrad(() => layer.apply(alone, weights, context())).read();
    const cache = layer.createCache(engine, { batch: 2, capacity: 8 });
    const x = engine.tensor(padded, [2, 6, WIDTH]);
    const part = (at: number, rows: number): Promise<ArrayLike<number>> => engine.noGrad(() => layer.apply(x.narrow(1, at, rows).contiguous(), weights, context({ cache, starts, positions: positions.narrow(1, at, rows).contiguous() }))).read();
    await part(0, 4);
    const last = Array.from(await part(4, 2)).slice(2 * WIDTH);
    assertClose(Float32Array.from(last), Float64Array.from(Array.from(want).slice(2 * WIDTH)));
  });
});
