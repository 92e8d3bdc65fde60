import { causal, window, type CacheOptions, type KvCache } from "@polyhead/core";
import { cast, type Tensor } from "@polyhead/tensor";
import { assertClose, ONNX_F16 } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { apply, cacheOf, engine, gpu, inParts, input, numbers, parts, setting, WIDTH } from "./cached-layer.ts";

afterAll(() => { gpu.dispose(); });

const KINDS = ["dense", "static", "paged"] as const;

describe.each(KINDS)("a %s cache", (kind) => {
  it.each([[4, 7], [2, 16], [1, 33]])("gives what the whole sequence gives: %i key heads, chunks of %i rows, then row by row", async (kvHeads, chunk) => {
    const to = setting({ kvHeads });
    const x = input(2, 41);
    const want = await numbers(() => apply(to, x));
    const cache = cacheOf(to, { kind, batch: 2 });
    assertClose(await inParts(to, cache, x, parts(41, chunk, 6)), want, { label: "f32" });
    expect([cache.length, cache.kind, cache.dtype]).toEqual([41, kind, "f32"]);
    cache.dispose();
  });

  it("gives left-padded rows what they get without padding", async () => {
    const to = setting();
    const padded = setting({ starts: [5, 0] });
    const x = input(2, 22);
    const positions = engine.tensor([...new Array<number>(5).fill(0), ...Array.from({ length: 17 }, (_, i) => i), ...Array.from({ length: 22 }, (_, i) => i)], [2, 22], { dtype: "u32" });
    const cache = cacheOf(padded, { kind, batch: 2 });
    const got = await inParts(padded, cache, x, parts(22, 7, 3), positions);
    const short = await apply(to, x.narrow(0, 0, 1).narrow(1, 5, 17).contiguous()).read();
    assertClose(got.subarray(5 * WIDTH, 22 * WIDTH), short, { label: "the padded sequence" });
    assertClose(got.subarray(22 * WIDTH), await apply(to, x.narrow(0, 1, 1).contiguous()).read(), { label: "the other" });
    cache.dispose();
  });

  it.each([6, 5])("of halves rounds each row once, at head size %i", async (headDim) => {
    const to = setting({ headDim, kvHeads: 1 });
    const x = input(2, 23);
    const [whole, halves] = [cacheOf(to, { kind, batch: 2 }), cacheOf(to, { kind, batch: 2, dtype: "f16" })];
    const want = await inParts(to, whole, x, parts(23, 7, 3));
    assertClose(await inParts(to, halves, x, parts(23, 7, 3)), want, { rule: ONNX_F16, label: "output" });
    const [exact, stored] = [whole.tensors["k"]!, halves.tensors["k"]!];
    const rounded = await numbers(() => cast(cast(exact, "f16"), "f32"));
    const [kept, size] = [await stored.read(), 23 * headDim];
    const [block, storedBlock] = [exact, stored].map(({ shape }) => shape[2]! * headDim) as [number, number];
    // Pages follow each other as they were taken, so only the first of a sequence is where rows would be.
    const sequences = kind === "paged" ? [[0, 0]] : [[0, 0], [1, 1]];
    for (const [b] of sequences) {
      const count = kind === "paged" ? 16 * headDim : size;
      expect([...kept.subarray(b! * storedBlock, b! * storedBlock + count)]).toEqual([...rounded.subarray(b! * block, b! * block + count)]);
    }
    expect(halves.bytes).toBeLessThan(whole.bytes);
    whole.dispose();
    halves.dispose();
  });

  it.each([[24, 8, 5], [9, 8, 1], [20, 0, 3]])("of %i rows that slides gives what a window of %i gives, in chunks of %i", async (capacity, left, chunk) => {
    const to = setting({ mask: window(left), starts: [2, 0] });
    const x = input(2, 60);
    const want = await numbers(() => apply(to, x));
    const cache = cacheOf(to, { kind, batch: 2, capacity, overflow: "slide" });
    expect(cache.largestStep).toBe(capacity - left);
    const got = await inParts(to, cache, x, parts(60, chunk, 9));
    // Rows of padding are nobody's business.
    assertClose(got.subarray(2 * WIDTH, 60 * WIDTH), want.subarray(2 * WIDTH, 60 * WIDTH), { label: "padded" });
    assertClose(got.subarray(60 * WIDTH), want.subarray(60 * WIDTH), { label: "whole" });
    expect(cache.length).toBe(60);
    cache.dispose();
  });

  it("of halves slides too, at an odd head size", async () => {
    const to = setting({ mask: window(6), headDim: 5 });
    const x = input(1, 40);
    const cache = cacheOf(to, { kind, capacity: 16, dtype: "f16", overflow: "slide" });
    assertClose(await inParts(to, cache, x, parts(40, 4, 7)), await numbers(() => apply(to, x)), { rule: ONNX_F16, label: "output" });
    cache.dispose();
  });

  it("goes on from where it was cut back, and gives back what it took", async () => {
    const before = gpu.stats.liveBytes;
    const to = setting();
    const x = input(1, 40);
    const held = gpu.stats.liveBytes;
    const cache = cacheOf(to, { kind });
    const first = await inParts(to, cache, x, parts(40, 19, 2));
    cache.truncate(20);
    const again = await numbers(() => apply(to, x.narrow(1, 20, 20).contiguous(), { cache, offset: 20 }));
    assertClose(again, first.subarray(20 * WIDTH), { label: "again" });
    cache.dispose();
    cache.dispose();
    expect(gpu.stats.liveBytes).toBe(held);
    [x, ...Object.values(to.params)].forEach((tensor) => { tensor.dispose(); });
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("says when it is full, before anything is written", async () => {
    const to = setting();
    const cache = cacheOf(to, { kind, capacity: 20 });
    const rows = input(1, 20);
    const step = (length: number): Tensor => apply(to, rows.narrow(1, 0, length).contiguous(), { cache });
    engine.scope(() => { step(18); });
    const used = cache.bytes;
    expect(() => step(3)).toThrow(/ATTN_CACHE_FULL.*3 more rows do not fit a cache that holds 18 of 20.*larger capacity/s);
    expect(() => { cache.reserve(3); }).toThrow(/ATTN_CACHE_FULL/);
    expect([cache.length, cache.bytes]).toEqual([18, used]);
    const next = await numbers(() => step(2));
    const whole = apply(to, engine.tensor([...(await rows.narrow(1, 0, 18).contiguous().read()), ...(await rows.narrow(1, 0, 2).contiguous().read())], [1, 20, WIDTH]));
    assertClose(next, (await whole.read()).subarray(18 * WIDTH), { label: "after the refusal" });
    cache.dispose();
  });

  it("slides only as far as its mask allows", () => {
    const to = setting({ mask: window(8) });
    const slide = (options: Partial<CacheOptions>): KvCache<Tensor> => cacheOf(to, { kind, overflow: "slide", ...options });
    expect(() => slide({ mask: causal() })).toThrow(/ATTN_CACHE_SLIDE.*without bound.*window mask/s);
    expect(() => slide({ capacity: 8 })).toThrow(/ATTN_CACHE_SLIDE.*8 rows.*capacity of at least 9/s);
    expect(() => to.layer.createCache(engine, { kind, batch: 1, capacity: 16, overflow: "slide" })).toThrow(/ATTN_CACHE_SLIDE.*without a mask/s);
    const cache = slide({ capacity: 16 });
    expect(() => apply(to, input(1, 4), { cache, mask: window(9) })).toThrow(/ATTN_CACHE_SLIDE.*looks back 9 rows on a cache that keeps 8/s);
    apply(to, input(1, 16), { cache });
    expect(() => apply(to, input(1, 9), { cache })).toThrow(/ATTN_CACHE_FULL.*9 rows at once beside the 8.*at most 8 rows at a time/s);
    apply(to, input(1, 8), { cache });
    apply(to, input(1, 8), { cache });
    expect(() => { cache.truncate(18); }).toThrow(/ATTN_CACHE_LENGTH.*truncate\(18\).*dropped the rows before/s);
    cache.truncate(32);
    cache.truncate(0);
    expect(cache.length).toBe(0);
    cache.dispose();
  });
});

describe("caches", () => {
  it("refuse what they cannot be", () => {
    const to = setting();
    expect(() => cacheOf(to, { kind: "ring" as never })).toThrow(/ATTN_CACHE_KIND.*'ring'.*'paged'/s);
    expect(() => cacheOf(to, { capacity: 0 })).toThrow(/ATTN_CACHE_CAPACITY.*0 rows/s);
    expect(() => cacheOf(to, { batch: 0 })).toThrow(/ATTN_CACHE_BATCH.*0 sequences/s);
    for (const pageSize of [8, 48, 512]) expect(() => cacheOf(to, { kind: "paged", pageSize })).toThrow(/ATTN_CACHE_PAGE.*16, 32, 64, 128 or 256/s);
  });

  it("that are dense take memory as the text grows; static ones at once", () => {
    const to = setting();
    const row = 2 * 2 * 6 * 4;
    const [dense, still] = [cacheOf(to, { kind: "dense", capacity: 100 }), cacheOf(to, { kind: "static", capacity: 100 })];
    const bytes = [1, 15, 1, 40, 40].map((rows) => {
      engine.scope(() => { apply(to, input(1, rows), { cache: dense }); });
      return dense.bytes;
    });
    expect(bytes).toEqual([16 * row, 16 * row, 32 * row, 64 * row, 100 * row]);
    expect(still.bytes).toBe(100 * row);
    dense.dispose();
    still.dispose();
  });
});
