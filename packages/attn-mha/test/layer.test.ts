import { array64, bindHooks, capture, causal, defineKernelPlugin, full, scoreHook, scoreMod, type AttentionContext, type Hook, type KvCache } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { rope } from "@polyhead/pos-rope";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { mha, multiHeadReference, reference } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const dims = { width: 12, layers: 1, context: 32, vocab: 2, dropout: 0, causal: true };
const layer = mha.create({ heads: 4, kvHeads: 2, headDim: 6 }, dims);
const hooks = bindHooks<Tensor>(rope.create({}, { ...dims, heads: 4, headDim: 6 }).hooks as readonly Hook<Tensor>[], {}) as AttentionContext<Tensor>["hooks"];
const context = (more: Partial<AttentionContext<Tensor>> = {}): AttentionContext<Tensor> => ({ hooks: [], mask: causal(), plan: { kernel: reference, how: { rope: "prepass" } }, offset: 0, dropout: 0, ...more });
const sizes = Object.entries(layer.params).map(([name, { shape }]) => [name, shape] as const);
const values = Object.fromEntries(sizes.map(([name, shape], i) => [name, { shape, data: uniform(shape.reduce((a, b) => a * b, 1), 20 + i).map((x) => x / 2) }]));
const params = Object.fromEntries(Object.entries(values).map(([name, { shape, data }]) => [name, engine.tensor(data, shape)]));

describe("the multi-head layer", () => {
  it("equals the paper's formula in float64, outputs and every gradient", async () => {
    const x = { shape: [2, 5, 12], data: uniform(120, 1) };
    await checkGradients(
      {
        inputs: { x, ...values },
        reference: (v) => multiHeadReference({ x: array64(v["x"]!, x.shape), heads: 4, kvHeads: 2, headDim: 6, qkv: v["qkv.weight"]!, qkvBias: v["qkv.bias"]!, out: v["out.weight"]!, outBias: v["out.bias"]! }),
        run: onEngine(engine, ({ x: input, ...weights }) => engine.scope(() => layer.apply(input!, weights, context()))),
      },
      { entries: 12 },
    );
  });

  it("reads another sequence in cross-attention, with every gradient, and keeps no cache of it", async () => {
    const [x, memory] = [{ shape: [2, 3, 12], data: uniform(72, 11) }, { shape: [2, 5, 12], data: uniform(120, 12) }];
    await checkGradients(
      {
        inputs: { x, memory, ...values },
        reference: (v) => multiHeadReference({ x: array64(v["x"]!, x.shape), memory: array64(v["memory"]!, memory.shape), mask: full(), heads: 4, kvHeads: 2, headDim: 6, qkv: v["qkv.weight"]!, qkvBias: v["qkv.bias"]!, out: v["out.weight"]!, outBias: v["out.bias"]! }),
        run: onEngine(engine, ({ x: input, memory: source, ...weights }) => layer.apply(input!, weights, context({ mask: full(), memory: source! }))),
      },
      { entries: 12 },
    );
    const cache = layer.createCache(engine, { batch: 2, capacity: 8 });
    const zeros = engine.zeros([2, 3, 12]);
    expect(() => engine.noGrad(() => layer.apply(zeros, params, context({ memory: zeros, cache })))).toThrow(/ATTN_CACHE_MEMORY/);
  });

  it("decodes again from where a cache was cut back", async () => {
    const rows = (from: number, count: number): Tensor => engine.tensor(uniform(6 * 12, 13), [1, 6, 12]).narrow(1, from, count).contiguous();
    const cache = layer.createCache(engine, { batch: 1, capacity: 6 });
    const step = (from: number, count: number): Promise<ArrayLike<number>> => engine.noGrad(() => layer.apply(rows(from, count), params, context({ hooks, offset: from, cache }))).read();
    await step(0, 4);
    const first = await step(4, 2);
    cache.truncate(4);
    expect(await step(4, 2)).toEqual(first);
  });

  it("refuses a cache while gradients are on, and one of another batch", () => {
    const cache = layer.createCache(engine, { batch: 1, capacity: 6 });
    const x = engine.tensor(uniform(36, 3), [1, 3, 12], { requiresGrad: true });
    expect(() => layer.apply(x, params, context({ cache }))).toThrow(/ATTN_CACHE_GRAD/);
    expect(() => engine.noGrad(() => layer.apply(engine.zeros([2, 3, 12]), params, context({ cache })))).toThrow(/ATTN_CACHE_BATCH.*2 sequences for a cache of 1/s);
  });

  it("decodes to the same as the whole sequence: prefill in chunks, then token by token", async () => {
    const T = 9;
    const data = uniform(2 * T * 12, 2);
    const rows = (from: number, count: number): Tensor => engine.tensor(data, [2, T, 12]).narrow(1, from, count).contiguous();
    const whole = await engine.noGrad(() => layer.apply(rows(0, T), params, context({ hooks }))).read();
    const cache = layer.createCache(engine, { batch: 2, capacity: T });
    const parts: number[][] = [[], []];
    for (const count of [4, 2, 1, 1, 1]) {
      const from = cache.length;
      const y = await engine.noGrad(() => layer.apply(rows(from, count), params, context({ hooks, offset: from, cache }))).read();
      for (let b = 0; b < 2; b++) parts[b]!.push(...y.subarray(b * count * 12, (b + 1) * count * 12));
    }
    assertClose(parts.flat(), whole, { label: "decoded" });
  });

  it("says when its cache is full, and writes nothing then", () => {
    const cache = layer.createCache(engine, { batch: 1, capacity: 2 });
    const x = engine.tensor(uniform(36, 3), [1, 3, 12]);
    expect(() => engine.noGrad(() => layer.apply(x, params, context({ cache })))).toThrow(/ATTN_CACHE_FULL.*3 more rows do not fit a cache that holds 0 of 2/s);
    expect(cache.length).toBe(0);
    expect(() => { cache.truncate(1); }).toThrow(/ATTN_CACHE_LENGTH/);
    const nothing = (): undefined => undefined;
    const foreign: KvCache<Tensor> = { kind: "dense", dtype: "f32", length: 0, position: 0, capacity: 4, batch: 1, overflow: "error", largestStep: 4, bytes: 0, tensors: {}, reserve: nothing, advance: nothing, truncate: nothing, dispose: nothing };
    expect(() => engine.noGrad(() => layer.apply(x, params, context({ cache: foreign })))).toThrow(/ATTN_CACHE_KIND/);
  });

  it("sees left-padded rows at their own positions", async () => {
    const short = engine.tensor(uniform(4 * 12, 4), [1, 4, 12]);
    const want = await engine.noGrad(() => layer.apply(short, params, context({ hooks }))).read();
    const padded = engine.tensor([...new Array<number>(3 * 12).fill(7), ...(await short.read())], [1, 7, 12]);
    const positions = engine.tensor([0, 0, 0, 0, 1, 2, 3], [1, 7], { dtype: "u32" });
    const starts = engine.tensor([3], [1], { dtype: "i32" });
    const got = await engine.noGrad(() => layer.apply(padded, params, context({ hooks, positions, starts }))).read();
    assertClose(got.subarray(3 * 12), want, { label: "the rows that are not padding" });
  });

  it("hands additive hooks to a kernel that does not inline them as a bias, with the same numbers and gradients", async () => {
    const table = capture(uniform(4 * 5, 9), [4, 5], { name: "table", learned: true });
    const hook = scoreHook({ id: "bias", program: scoreMod`score + ${table}[h, clamp(q - kv, 0, 4)]` });
    const plain = defineKernelPlugin<"plain", Tensor>({ ...reference, name: "plain", lower: () => "tensor" });
    const x = engine.tensor(uniform(72, 5), [1, 6, 12]);
    const run = async (how: "inline" | "tensor"): Promise<ArrayLike<number>[]> => {
      const learned = engine.tensor(table.data, table.shape, { requiresGrad: true });
      const y = engine.scope(() => {
        const out = layer.apply(x, params, context({ hooks: [{ hook, params: { table: learned } }], plan: { kernel: how === "tensor" ? plain : reference, how: { bias: how } } }));
        out.backward(engine.tensor(uniform(72, 6), [1, 6, 12]));
        return out;
      });
      return [await y.read(), await learned.grad!.read()];
    };
    const [inline, tensor] = [await run("inline"), await run("tensor")];
    inline.forEach((want, i) => { assertClose(tensor[i]!, want, { label: ["y", "dtable"][i]! }); });
  });

  it("refuses head counts that do not fit, naming them", () => {
    expect(() => mha.create({ heads: 4, kvHeads: 3 }, dims)).toThrow(/ATTN_HEADS.*4 query heads cannot share 3/s);
    expect(() => mha.create({ heads: 5 }, dims)).toThrow(/ATTN_HEADS.*width of 12 does not split into 5/s);
  });
});
