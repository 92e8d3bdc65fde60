import { causal, window } from "@polyhead/core";
import { assertClose } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { StaticCache } from "../src/index.ts";
import { apply, cacheOf, engine, gpu, inParts, input, numbers, setting, WIDTH } from "./cached-layer.ts";

afterAll(() => { gpu.dispose(); });

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

  it("hands out one and the same memory, at a live place", () => {
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
});
