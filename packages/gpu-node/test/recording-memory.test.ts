import { afterAll, describe, expect, it } from "vitest";
import type { BufferSlice, PoolBuffer } from "@polyhead/gpu";
import { openNodeGpu } from "../src/index.ts";
import { pairsOn } from "./pairs.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const { given, numbers, run, slice } = pairsOn(gpu);
afterAll(() => { gpu.dispose(); });

describe("the memory of a recording", () => {
  const sizes = [1000, 1000, 3000];

  it("is handed to nobody else until it is disposed of, and goes back whole", () => {
    const live = gpu.stats.liveBytes;
    const taken: PoolBuffer[] = [];
    const recording = gpu.record(() => {
      for (const size of sizes) taken.push(gpu.take(size));
      for (const buffer of taken) gpu.give(buffer);
    });
    expect(recording.bytes).toBe(gpu.stats.liveBytes - live);
    const others = sizes.map((size) => gpu.take(size));
    expect(others.filter((buffer) => taken.includes(buffer))).toEqual([]);
    for (const buffer of others) gpu.give(buffer);
    recording.dispose();
    recording.dispose();
    expect(gpu.stats.liveBytes).toBe(live);
    const again = sizes.map((size) => gpu.take(size));
    expect(new Set(again.map(({ id }) => id)).size).toBe(3);
    for (const buffer of again) gpu.give(buffer);
  });

  it("goes round inside of it: what the work frees, it takes again", () => {
    const live = gpu.stats.liveBytes;
    const recording = gpu.record(() => { for (let i = 0; i < 10; i++) gpu.give(gpu.take(1000)); });
    expect(gpu.stats.liveBytes - live).toBe(1024);
    recording.dispose();
  });

  it("includes what it only touches: weights given back too early stay what they were", async () => {
    const live = gpu.stats.liveBytes;
    const [weight, y] = [given(3, 4), given(0, 0)];
    const recording = gpu.record(() => { run(weight, y, 2); });
    gpu.give(weight.buffer);
    const others = Array.from({ length: 4 }, () => given(-1, -1));
    expect(others.map(({ buffer }) => buffer.id)).not.toContain(weight.buffer.id);
    recording.replay();
    expect(await numbers(y)).toEqual([6, 8]);
    recording.dispose();
    for (const { buffer } of [...others, y]) gpu.give(buffer);
    expect(gpu.stats.liveBytes).toBe(live);
  });

  it("touched by two recordings goes back with the last of them", () => {
    const live = gpu.stats.liveBytes;
    const [weight, y] = [given(3, 4), given(0, 0)];
    const both = [1, 2].map((factor) => gpu.record(() => { run(weight, y, factor); }));
    gpu.give(weight.buffer);
    both[0]!.dispose();
    expect(gpu.stats.liveBytes).toBe(live + weight.buffer.bytes + y.buffer.bytes);
    both[1]!.dispose();
    gpu.give(y.buffer);
    expect(gpu.stats.liveBytes).toBe(live);
  });

  it("that its user still holds at the end is an ordinary buffer from then on", async () => {
    const live = gpu.stats.liveBytes;
    const x = given(1, 2);
    let result: BufferSlice | undefined;
    const recording = gpu.record(() => { run(x, (result = slice(gpu.take(8))), 5); });
    recording.dispose();
    expect(await numbers(result!)).toEqual([5, 10]);
    gpu.give(result!.buffer);
    gpu.give(x.buffer);
    expect(gpu.stats.liveBytes).toBe(live);
  });

  it("does not include what is done unrecorded, which a replay finds done", async () => {
    const live = gpu.stats.liveBytes;
    const y = given(0, 0);
    let table: BufferSlice | undefined;
    const recording = gpu.record(() => {
      table = gpu.unrecorded(() => given(3, 4));
      run(table, y, 2);
    });
    recording.replay();
    expect(await numbers(y)).toEqual([6, 8]);
    expect(recording.bytes).toBe(0);
    recording.dispose();
    for (const { buffer } of [table!, y]) gpu.give(buffer);
    expect(gpu.stats.liveBytes).toBe(live);
  });

  it("outlives trimming", async () => {
    const [x, y] = [given(1, 2), given(0, 0)];
    const recording = gpu.record(() => {
      const between = slice(gpu.take(8));
      run(x, between, 3);
      run(between, y, 1);
      gpu.give(between.buffer);
    });
    gpu.trim();
    recording.replay();
    expect(await numbers(y)).toEqual([3, 6]);
    recording.dispose();
  });
});
