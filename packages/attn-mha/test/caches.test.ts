import { bindHooks, capture, causal, defineKernelPlugin, scoreHook, scoreMod, window, type AttentionContext, type AttentionLayer, type BoundHook, type CacheOptions, type Hook, type KvCache, type Mask } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { rope } from "@polyhead/pos-rope";
import { cast, createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, ONNX_F16, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { mha, PagedCache, PagePool, reference, StaticCache } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const WIDTH = 12;
const KINDS = ["dense", "static", "paged"] as const;
const dims = { width: WIDTH, layers: 1, context: 128, vocab: 2, dropout: 0 };
const slopes = capture(Float32Array.of(-0.5, -0.25, -0.125, -0.0625), [4], { name: "slopes" });
const alibi: BoundHook<Tensor> = { hook: scoreHook({ id: "alibi", program: scoreMod`score + ${slopes}[h] * (q - kv)` }), params: {} };
const rotary = bindHooks<Tensor>(rope.create({}, { ...dims, heads: 4, headDim: 6 }).hooks as readonly Hook<Tensor>[], {});
/** A kernel that takes pages: the reference does if it is given any. */
const pagedKernel = defineKernelPlugin<"paged", Tensor>({ ...reference, name: "paged", paged: true });

interface Setting {
  readonly layer: AttentionLayer<Tensor>;
  readonly params: Readonly<Record<string, Tensor>>;
  readonly context: AttentionContext<Tensor>;
}

interface SettingOptions {
  readonly kvHeads?: number;
  readonly headDim?: number;
  readonly mask?: Mask;
  readonly kernel?: AttentionContext<Tensor>["plan"]["kernel"];
  readonly starts?: readonly number[];
}

function setting({ kvHeads = 2, headDim = 6, mask = causal(), kernel = reference, starts }: SettingOptions = {}): Setting {
  const layer = mha.create({ heads: 4, kvHeads, headDim }, dims);
  const params = Object.fromEntries(Object.entries(layer.params).map(([name, { shape }], i) => [name, engine.tensor(uniform(shape.reduce((a, b) => a * b, 1), 20 + i).map((x) => x / 2), shape)]));
  // Odd heads cannot be turned in pairs.
  const hooks = [...(headDim % 2 === 0 ? rotary : []), alibi] as AttentionContext<Tensor>["hooks"];
  return {
    layer,
    params,
    context: { hooks, mask, plan: { kernel, how: { rope: "prepass", alibi: "inline" } }, offset: 0, dropout: 0, ...(starts && { starts: engine.tensor(starts, [starts.length], { dtype: "i32" }) }) },
  };
}

const input = (batch: number, length: number): Tensor => engine.tensor(uniform(batch * length * WIDTH, 2), [batch, length, WIDTH]);
const apply = ({ layer, params, context }: Setting, x: Tensor, more: Partial<AttentionContext<Tensor>> = {}): Tensor => engine.noGrad(() => layer.apply(x, params, { ...context, ...more }));

/** Reads a result and frees it, and all that was made on the way. */
async function numbers(work: () => Tensor): Promise<Float32Array> {
  const tensor = engine.scope(work);
  const data = await tensor.read();
  tensor.dispose();
  return data as Float32Array;
}

/** The outputs of `x` fed in parts, put together again `[B, T, width]`. */
async function inParts(to: Setting, cache: KvCache<Tensor>, x: Tensor, parts: readonly number[], positions?: Tensor): Promise<Float32Array> {
  const [batch = 0, length = 0] = x.shape;
  const all = new Float32Array(x.size);
  let at = 0;
  for (const rows of parts) {
    const cut = (whole: Tensor): Tensor => whole.narrow(1, at, rows).contiguous();
    const y = await numbers(() => apply(to, cut(x), { cache, offset: at, ...(positions && { positions: cut(positions) }) }));
    for (let b = 0; b < batch; b++) all.set(y.subarray(b * rows * WIDTH, (b + 1) * rows * WIDTH), (b * length + at) * WIDTH);
    at += rows;
  }
  expect(at).toBe(length);
  return all;
}

/** Chunks of `chunk` rows, as far as they go, and then `singles` rows one by one. */
const parts = (length: number, chunk: number, singles: number): number[] => [
  ...Array.from({ length: Math.ceil((length - singles) / chunk) }, (_, i) => Math.min(chunk, length - singles - i * chunk)),
  ...new Array<number>(singles).fill(1),
];

const cacheOf = ({ layer, context: { mask } }: Setting, options: Partial<CacheOptions>): KvCache<Tensor> => layer.createCache(engine, { batch: 1, capacity: 48, pageSize: 16, mask, ...options });

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

describe("a static cache", () => {
  it.each([["until it is full", 24, causal()], ["while it slides", 10, window(4)]] as const)("lets a recorded step be replayed %s", async (_, capacity, mask) => {
    const to = setting({ mask });
    const x = input(2, 24);
    const want = await numbers(() => apply(to, x));
    const cache = cacheOf(to, { kind: "static", batch: 2, capacity, overflow: mask.kind === "window" ? "slide" : "error" });
    const got = await inParts(to, cache, x.narrow(1, 0, 5), [5]);
    const row = (b: number, t: number): Float32Array => want.subarray((b * 24 + t) * WIDTH, (b * 24 + t + 1) * WIDTH);
    for (let t = 0; t < 5; t++) [0, 1].forEach((b) => { assertClose(got.subarray((b * 5 + t) * WIDTH, (b * 5 + t + 1) * WIDTH), row(b, t), { label: `row ${t}` }); });
    const all = await x.read();
    const current = engine.empty([2, 1, WIDTH]);
    const feed = (t: number): void => { engine.upload(current, [0, 1].flatMap((b) => [...all.subarray((b * 24 + t) * WIDTH, (b * 24 + t + 1) * WIDTH)])); };
    feed(5);
    const step = engine.noGrad(() => engine.record(() => engine.scope(() => apply(to, current, { cache }))));
    for (let t = 5; t < 24; t++) {
      if (t > 5) {
        feed(t);
        cache.reserve(1);
        step.replay();
        cache.advance(1);
      }
      const y = await step.outputs.read();
      [0, 1].forEach((b) => { assertClose(y.subarray(b * WIDTH, (b + 1) * WIDTH), row(b, t), { label: `row ${t}` }); });
    }
    expect(cache.length).toBe(24);
    if (mask.kind === "causal") expect(() => { cache.reserve(1); }).toThrow(/ATTN_CACHE_FULL/);
    step.dispose();
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

  it("that are static hand out one and the same memory, at a live place", () => {
    const cache = new StaticCache(engine, { batch: 1, kvHeads: 1, headDim: 4, capacity: 8 });
    const rows = engine.zeros([1, 1, 1, 4]);
    const [first] = [cache.append(rows, rows)];
    expect([first.keys, cache.position].map((n) => (n as { value: number }).value)).toEqual([1, 0]);
    cache.advance(1);
    const second = cache.append(rows, rows);
    expect([second.k, second.v]).toEqual([first.k, first.v]);
    expect([first.keys, second.keys, cache.position].map((n) => (n as { value: number }).value)).toEqual([2, 2, 1]);
    cache.dispose();
  });

  it("that are paged reach a kernel as pages where it takes them, and as rows where not", async () => {
    const seen: (string | undefined)[] = [];
    const spy = (kernel: typeof reference | typeof pagedKernel): AttentionContext<Tensor>["plan"]["kernel"] => ({ ...kernel, run: (inputs) => { seen.push(inputs.pages && `pages of ${inputs.pages.size}`); return kernel.run(inputs); } });
    const outputs: ArrayLike<number>[] = [];
    for (const kernel of [spy(reference), spy(pagedKernel)]) {
      const to = setting({ kernel });
      const cache = cacheOf(to, { kind: "paged", batch: 2 });
      outputs.push(await inParts(to, cache, input(2, 37), [33, 4]));
      cache.dispose();
    }
    expect(seen).toEqual([undefined, undefined, "pages of 16", "pages of 16"]);
    assertClose(outputs[1]!, outputs[0]!, { label: "pages and rows" });
  });
});

describe("a pool of pages", () => {
  it("gives a fork its pages without a copy, until one of the two writes", async () => {
    const before = gpu.stats.liveBytes;
    const to = setting();
    const x = input(2, 40);
    const [prompt, rest] = engine.scope(() => [x.narrow(1, 0, 20).contiguous(), x.narrow(1, 20, 20).contiguous()] as const);
    const cache = new PagedCache(engine, { batch: 2, capacity: 48, pool: { kvHeads: 2, headDim: 6, pageSize: 16 } });
    const want = await numbers(() => apply(to, x));
    engine.scope(() => { apply(to, prompt, { cache }); });
    expect(cache.pool.held).toBe(4);
    const beams = cache.fork([1, 0, 1]);
    expect([beams.length, beams.batch, cache.pool.held]).toEqual([20, 3, 4]);
    const swap = (y: Tensor): Tensor => engine.tensor([1, 0, 1].flatMap((b) => [...rows[b]!]), [3, ...y.shape.slice(1)]);
    const data = await rest.read();
    const rows = [data.subarray(0, data.length / 2), data.subarray(data.length / 2)];
    const other = await numbers(() => apply(to, swap(rest), { cache: beams }));
    // Each beam has its own copy of the page that was half full, except the last of those that held it.
    expect(cache.pool.held).toBe(4 + 3 + 3);
    const own = await numbers(() => apply(to, rest, { cache }));
    const half = 20 * WIDTH;
    const tail = (b: number): Float32Array => Float32Array.from(want.subarray((b * 40 + 20) * WIDTH, (b + 1) * 40 * WIDTH));
    [0, 1].forEach((b) => { assertClose(own.subarray(b * half, (b + 1) * half), tail(b), { label: `sequence ${b}` }); });
    [1, 0, 1].forEach((b, i) => { assertClose(other.subarray(i * half, (i + 1) * half), tail(b), { label: `beam ${i}` }); });
    cache.dispose();
    expect(beams.pool.held).toBe(8);
    expect(() => beams.fork([3])).toThrow(/ATTN_CACHE_FORK.*sequence 3 of a cache of 3/s);
    beams.dispose();
    [x, prompt, rest, ...Object.values(to.params)].forEach((tensor) => { tensor.dispose(); });
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("is shared by caches, grows, and says when it is full", () => {
    const before = gpu.stats.liveBytes;
    const pool = new PagePool(engine, { kvHeads: 1, headDim: 4, pageSize: 16, pages: 6 });
    const make = (): PagedCache => new PagedCache(engine, { pool, batch: 1, capacity: 64 });
    const [a, b] = [make(), make()];
    const rows = (n: number): Tensor => engine.zeros([1, 1, n, 4]);
    const add = (cache: PagedCache, n: number): void => { engine.scope(() => { cache.append(rows(n), rows(n)); cache.advance(n); }); };
    add(a, 40);
    expect([pool.held, pool.bytes]).toEqual([3, 4 * pool.pageBytes]);
    add(b, 33);
    expect([pool.held, pool.bytes]).toEqual([6, 6 * pool.pageBytes]);
    expect(() => { add(a, 10); }).toThrow(/ATTN_CACHE_FULL.*1 more pages do not fit a pool that holds 6 of 6/s);
    expect(a.length).toBe(40);
    b.truncate(16);
    expect(pool.held).toBe(4);
    add(a, 10);
    expect([pool.held, a.bytes]).toEqual([5, 4 * pool.pageBytes + 4 * 4]);
    [a, b].forEach((cache) => { cache.dispose(); });
    expect(pool.held).toBe(0);
    pool.dispose();
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("of just enough pages is enough", () => {
    const pool = new PagePool(engine, { kvHeads: 1, headDim: 4, pageSize: 16, pages: 4 });
    const add = (cache: PagedCache, n: number): void => { engine.scope(() => { const rows = engine.zeros([cache.batch, 1, n, 4]); cache.append(rows, rows); cache.advance(n); }); };
    const prompt = new PagedCache(engine, { pool, batch: 1, capacity: 32 });
    add(prompt, 24);
    const beams = prompt.fork([0, 0, 0]);
    prompt.dispose();
    // Two copies of the half-full page; the third beam keeps it.
    add(beams, 8);
    expect(pool.held).toBe(4);
    expect(() => { add(beams, 1); }).toThrow(/ATTN_CACHE_FULL/);
    beams.dispose();
    const sliding = new PagedCache(engine, { pool, batch: 2, capacity: 17, window: 16 });
    for (let i = 0; i < 80; i++) add(sliding, 1);
    expect(pool.held).toBe(4);
    sliding.dispose();
    pool.dispose();
  });

  it("keeps what it held when it grows", async () => {
    const to = setting();
    const x = input(1, 47);
    const pool = new PagePool(engine, { kvHeads: 2, headDim: 6, pageSize: 16 });
    const make = (): PagedCache => new PagedCache(engine, { pool, batch: 1, capacity: 48 });
    const caches = [make(), make(), make()];
    const want = await numbers(() => apply(to, x));
    const got: Float32Array[] = [];
    for (const cache of caches) got.push(await inParts(to, cache, x, [30, 17]));
    got.forEach((data, i) => { assertClose(data, want, { label: `cache ${i}` }); });
    for (const cache of caches) cache.dispose();
    pool.dispose();
  });
});
