import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, dropout, linear, mean, mul, scale, sum, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 11 });
afterAll(() => { gpu.dispose(); });

const read = async (x: Tensor): Promise<number[]> => [...(await x.read())];

describe("the tensors of a recorded step", () => {
  it("are overwritten by a replay where they are outputs, and released inside", async () => {
    const x = engine.tensor([1, 2]);
    let inner: Tensor | undefined;
    const recorded = engine.record(() => {
      inner = scale(x, 2);
      return { sums: [sum(inner)], twice: scale(inner, 2) };
    });
    expect(inner!.isLive).toBe(false);
    engine.upload(x, [10, 20]);
    recorded.replay();
    expect(await read(recorded.outputs.twice)).toEqual([40, 80]);
    expect(await recorded.outputs.sums[0]!.item()).toBe(60);
    recorded.dispose();
    expect(recorded.outputs.twice.isLive).toBe(false);
  });

  it("give their memory back when it is disposed of; before, nothing outside of it gets any", async () => {
    const w = engine.tensor(Array.from({ length: 256 }, (_, i) => i / 256), [16, 16], { requiresGrad: true });
    const step = (): Tensor => {
      const y = mean(linear(linear(w, w), w));
      y.backward();
      const gradient = w.grad!.detach();
      w.zeroGrad();
      return gradient;
    };
    engine.scope(() => { step(); });
    const before = gpu.stats.liveBytes;
    const recorded = engine.record(step);
    const want = await read(recorded.outputs);
    const others = Array.from({ length: 40 }, () => engine.full([16, 16], 7));
    recorded.replay();
    expect(await read(recorded.outputs)).toEqual(want);
    for (const other of others) expect(new Set(await other.read())).toEqual(new Set([7]));
    for (const other of others) other.dispose();
    recorded.dispose();
    recorded.dispose();
    expect(gpu.stats.liveBytes).toBe(before);
    w.dispose();
  });

  it("inside of a scope outlive it", async () => {
    const x = engine.tensor([3]);
    const recorded = engine.scope(() => ({ it: engine.record(() => scale(x, 2)) })).it;
    recorded.replay();
    expect(await recorded.outputs.item()).toBe(6);
    recorded.dispose();
  });

  it("take no more memory at their peak than an eager step", () => {
    const x = engine.zeros([1024]);
    const chain = (): Tensor => {
      let y = x;
      for (let i = 0; i < 12; i++) {
        const before = y;
        y = engine.scope(() => scale(before, 1));
        if (before !== x) before.dispose();
      }
      return y;
    };
    const recorded = engine.record(chain);
    expect(recorded.recording.bytes).toBe(2 * 4096);
    recorded.dispose();
    x.dispose();
  });
});

describe("the gradient of a leaf after a recorded step", () => {
  it("is the last replay's where there was none before, and a sum where there was", async () => {
    const w = engine.tensor([3], [1], { requiresGrad: true });
    const step = (): void => { engine.scope(() => { sum(mul(w, w)).backward(); }); };
    const fresh = engine.record(step);
    fresh.replay();
    expect(await read(w.grad!)).toEqual([6]);
    fresh.dispose();
    const adding = engine.record(step);
    adding.replay();
    expect(await read(w.grad!)).toEqual([18]);
    adding.dispose();
    w.zeroGrad();
  });
});

describe("a step that cannot be replayed", () => {
  it("says why, and leaves the engine as it was", () => {
    const before = gpu.stats.liveBytes;
    expect(() => engine.record(() => engine.tensor([1, 2]))).toThrow(/GPU_REPLAY.*8 bytes of the host's.*upload them before/s);
    expect(() => engine.record(async () => Promise.resolve())).toThrow(/TENSOR_SCOPE/);
    expect(engine.recording).toBe(false);
    expect(gpu.recording).toBe(false);
    expect(() => gpu.record(() => { engine.scope(() => { dropout(engine.zeros([4]), 0.5); }); })).toThrow(/TENSOR_REPLAY.*engine\.record\(\)/s);
    expect(engine.nextRandomStream()).toEqual(expect.any(Number));
    expect(gpu.stats.liveBytes).toBe(before);
  });
});
