import { window, type CacheKind, type KvCache } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, ONNX_F16 } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import type { DecoderModel } from "../src/index.ts";
import { small } from "./parts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 7 });
afterAll(() => { gpu.dispose(); });

const IDS = Array.from({ length: 38 }, (_, i) => (i * i + 3 * i) % 7);
const KINDS: readonly CacheKind[] = ["dense", "static", "paged"];

/** Reads a result and frees it, and all that was made on the way. */
async function numbers(work: () => Tensor): Promise<Float32Array> {
  const tensor = engine.noGrad(() => engine.scope(work));
  const data = await tensor.read();
  tensor.dispose();
  return data as Float32Array;
}

/** Logits after the prompt, and then after every further token, `[B, tokens + 1, vocab]` flattened by step. */
async function decoded(model: DecoderModel, cache: readonly KvCache<Tensor>[], chunk: number, prompt: number): Promise<number[]> {
  const all = [...(await numbers(() => model.prefill(model.ids(IDS.slice(0, prompt)), { cache, chunk })))];
  for (const id of IDS.slice(prompt)) all.push(...(await numbers(() => model.logits(model.ids([id]), { cache }))));
  return all;
}

describe.each(KINDS)("a prompt fed in chunks to %s caches", (kind) => {
  for (const [heads, kvHeads] of [[4, 4], [4, 2], [4, 1]] as const) {
    it.each([7, 16, 100])(`gives what the whole text gives, and so does token by token: ${kvHeads} of ${heads} key heads, chunks of %i`, async (chunk) => {
      const model = small(engine, { context: 40, attention: { use: "mha", heads, kvHeads, headDim: 4 }, position: { use: kvHeads === 4 ? "learned" : "rope" } });
      const cache = model.createCache({ batch: 1, kind, pageSize: 16 });
      const whole = await numbers(() => model.logits(model.ids(IDS)));
      assertClose(await decoded(model, cache, chunk, 33), whole.subarray(32 * 7), { label: "logits" });
      for (const layer of cache) layer.dispose();
      model.dispose();
    });
  }

  it("slides over a text that is longer than the cache", async () => {
    const model = small(engine, { context: 40, mask: window(6) });
    const cache = model.createCache({ batch: 1, kind, capacity: 16, pageSize: 16, overflow: "slide" });
    const whole = await numbers(() => model.logits(model.ids(IDS)));
    assertClose(await decoded(model, cache, 100, 25), whole.subarray(24 * 7), { label: "logits" });
    for (const layer of cache) layer.dispose();
    model.dispose();
  });

  it("takes left-padded batches", async () => {
    const model = small(engine, { context: 40 });
    const cache = model.createCache({ batch: 2, kind, pageSize: 16 });
    const padded = [...new Array<number>(5).fill(0), ...IDS.slice(0, 20), ...IDS.slice(0, 25)];
    const positions = [...new Array<number>(5).fill(0), ...IDS.slice(0, 20).keys(), ...IDS.slice(0, 25).keys()];
    const u32 = (data: number[], length: number): Tensor => engine.tensor(data, [2, length], { dtype: "u32" });
    const starts = engine.tensor([5, 0], [2], { dtype: "i32" });
    const got = [await numbers(() => model.prefill(model.ids(padded, 2), { cache, chunk: 9, starts, positions: u32(positions, 25) }))];
    got.push(await numbers(() => model.logits(model.ids([IDS[20]!, IDS[25]!], 2), { cache, starts, positions: u32([20, 25], 1) })));
    for (const [b, length] of [20, 25].entries()) {
      const whole = await numbers(() => model.logits(model.ids(IDS.slice(0, length + 1))));
      got.forEach((logits, i) => { assertClose(logits.subarray(b * 7, (b + 1) * 7), whole.subarray((length - 1 + i) * 7, (length + i) * 7), { label: `sequence ${b}` }); });
    }
    for (const layer of cache) layer.dispose();
    starts.dispose();
    model.dispose();
  });

  it("changes nothing when it does not fit", async () => {
    const model = small(engine, { context: 40 });
    const cache = model.createCache({ batch: 1, kind, capacity: 20, pageSize: 16 });
    expect(() => model.prefill(model.ids(IDS.slice(0, 23)), { cache, chunk: 8 })).toThrow(/ATTN_CACHE_FULL.*do not fit/s);
    expect(cache.map(({ length }) => length)).toEqual([0, 0]);
    const whole = await numbers(() => model.logits(model.ids(IDS.slice(0, 20))));
    assertClose(await numbers(() => model.prefill(model.ids(IDS.slice(0, 20)), { cache, chunk: 8 })), whole.subarray(19 * 7), { label: "logits" });
    expect(() => model.logits(model.ids([1]), { cache })).toThrow(/ATTN_CACHE_FULL/);
    expect(cache.map(({ length }) => length)).toEqual([20, 20]);
    for (const layer of cache) layer.dispose();
    model.dispose();
  });
});

describe("a prompt fed in chunks", () => {
  it("is stored in halves where it should be", async () => {
    const model = small(engine, { context: 40 });
    const whole = await numbers(() => model.logits(model.ids(IDS)));
    for (const kind of KINDS) {
      const [f32, f16] = (["f32", "f16"] as const).map((dtype) => model.createCache({ batch: 1, kind, dtype, pageSize: 16 })) as [KvCache<Tensor>[], KvCache<Tensor>[]];
      assertClose(await decoded(model, f16, 9, 30), whole.subarray(29 * 7), { rule: ONNX_F16, label: `${kind} logits` });
      await decoded(model, f32, 9, 30);
      const table = 4 * (f16[0]!.tensors["table"]?.size ?? 0);
      expect(f16[0]!.bytes - table).toBe((f32[0]!.bytes - table) / 2);
      for (const layer of [...f32, ...f16]) layer.dispose();
    }
    model.dispose();
  });

  it("frees all that it made", async () => {
    const model = small(engine, { context: 40 });
    await numbers(() => model.logits(model.ids(IDS)));
    const before = gpu.stats.liveBytes;
    for (const kind of KINDS) {
      const cache = model.createCache({ batch: 1, kind, pageSize: 16 });
      await decoded(model, cache, 7, 30);
      for (const layer of cache) layer.dispose();
      expect(gpu.stats.liveBytes, kind).toBe(before);
    }
    model.dispose();
  });

  it("is refused where it cannot be", () => {
    const model = small(engine, { context: 40 });
    const cache = model.createCache({ batch: 1 });
    expect(() => model.prefill(model.ids([]), { cache })).toThrow(/MODEL_PROMPT/);
    expect(() => model.prefill(model.ids([1]), { cache, chunk: 0 })).toThrow(/CONFIG_RANGE.*chunk is 0/s);
    expect(() => model.prefill(model.ids(new Array<number>(41).fill(1)), { cache })).toThrow(/MODEL_CONTEXT.*41 positions.*holds 40/s);
    expect(() => model.createCache({ batch: 1, overflow: "slide" })).toThrow(/ATTN_CACHE_SLIDE.*without bound/s);
    for (const layer of cache) layer.dispose();
    model.dispose();
  });

  it("runs on a kernel that the plan explains", () => {
    const model = small(engine, { context: 40 });
    const cache = model.createCache({ batch: 1, kind: "paged", dtype: "f16" });
    expect(model.planOf({ cache }).explain()).toMatch(/kernel 'reference'.*f16.*forward only.*cache: pages, gathered into rows/s);
    for (const layer of cache) layer.dispose();
    model.dispose();
  });
});
