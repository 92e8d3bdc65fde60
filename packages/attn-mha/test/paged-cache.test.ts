import { defineKernelPlugin, type AttentionContext } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { assertClose } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { PagedCache, PagePool, reference } from "../src/index.ts";
import { apply, cacheOf, engine, gpu, inParts, input, numbers, setting, WIDTH } from "./cached-layer.ts";

afterAll(() => { gpu.dispose(); });

/** A kernel that takes pages: the reference does if it is given any. */
const pagedKernel = defineKernelPlugin<"paged", Tensor>({ ...reference, name: "paged", paged: true });

describe("a paged cache", () => {
  it("reaches a kernel as pages where it takes them, and as rows where not", async () => {
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
