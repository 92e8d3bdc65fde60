import { capture, formula, scalar } from "@polyhead/expr";
import type { LiveNumber } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { adamwStep, add, checkpoint, createEngine, dropout, linear, map, mean, mul, multinomial, randn, scale, sum, uniform, type Engine, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 11 });
afterAll(() => { gpu.dispose(); });

const read = async (x: Tensor): Promise<number[]> => [...(await x.read())];

/** Runs a step that puts its result into `out` eagerly `times`, then recorded and replayed, from equal states. */
async function bothWays(make: (on: Engine) => { readonly step: () => Tensor; readonly next?: () => void }, times: number): Promise<{ readonly eager: number[][]; readonly replayed: number[][] }> {
  const eager: number[][] = [];
  const replayed: number[][] = [];
  {
    const on = createEngine(gpu, { seed: 11 });
    const { step, next } = make(on);
    for (let i = 0; i < times; i++) {
      const result = on.scope(step);
      eager.push(await read(result));
      result.dispose();
      next?.();
    }
  }
  const on = createEngine(gpu, { seed: 11 });
  const { step, next } = make(on);
  const first = on.scope(step);
  replayed.push(await read(first));
  first.dispose();
  next?.();
  const recorded = on.record(step);
  replayed.push(await read(recorded.outputs));
  next?.();
  for (let i = 2; i < times; i++) {
    recorded.replay();
    replayed.push(await read(recorded.outputs));
    next?.();
  }
  recorded.dispose();
  return { eager, replayed };
}

describe("a recorded step gives the bits of an eager one:", () => {
  it("random operators go on in the engine's streams", async () => {
    const { eager, replayed } = await bothWays((on) => {
      const x = on.full([64], 1);
      return { step: () => add(add(dropout(x, 0.5), uniform(on, [64])), add(randn(on, [64]), dropout(x, 0.25))) };
    }, 5);
    expect(replayed).toEqual(eager);
    expect(new Set(eager.map(String)).size).toBe(5);
  });

  it("also where the streams moved in between, and where a checkpointed block draws again", async () => {
    const { eager, replayed } = await bothWays((on) => {
      const w = on.tensor([1, 2, 3, 4, 5, 6, 7, 8], [8], { requiresGrad: true });
      return {
        step: () => {
          w.zeroGrad();
          const y = checkpoint((x) => dropout(mul(x, x), 0.5), w);
          sum(dropout(y, 0.5)).backward();
          const gradient = w.grad!.alias();
          on.track(gradient);
          w.zeroGrad();
          return gradient;
        },
        next: () => { on.randomPosition += 3; },
      };
    }, 5);
    expect(replayed).toEqual(eager);
    expect(new Set(eager.map(String)).size).toBeGreaterThan(3);
  });

  it("an optimiser inside has the rate and the bias correction of its own time", async () => {
    const { eager, replayed } = await bothWays((on) => {
      const w = on.tensor([1, -2, 3, -4], [4], { requiresGrad: true });
      const state = { first: [on.zeros([4])], second: [on.zeros([4])] };
      let t = 1;
      const live = (of: () => number): LiveNumber => ({ get value() { return of(); } });
      const options = { rate: live(() => 0.1 / t), step: live(() => t), beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: [0.1], clip: 1 };
      return {
        step: () => {
          mean(mul(w, w)).backward();
          adamwStep([w], state, options);
          w.zeroGrad();
          return scale(w, 1);
        },
        next: () => { t++; },
      };
    }, 6);
    expect(replayed).toEqual(eager);
    expect(new Set(eager.map(String)).size).toBe(6);
  });

  it("scalars may be live in map, scale and draws", async () => {
    const { eager, replayed } = await bothWays((on) => {
      const x = on.tensor([0.1, 0.2, 0.3, 0.4], [1, 4]);
      let t = 1;
      const live = { get value() { return t; } };
      return {
        step: () => {
          const drawn = multinomial(scale(x, live), { seed: 5, stream: live });
          return map(formula({ a: "f32", b: "f32" })`a * b`, { a: add(x, live), b: map(formula({ i: "i32" })`f32(i)`, { i: drawn }) });
        },
        next: () => { t++; },
      };
    }, 8);
    expect(replayed).toEqual(eager);
    expect(new Set(eager.map(String)).size).toBeGreaterThan(4);
  });

  it("captures that were set since are seen by forward and backward pass", async () => {
    const { eager, replayed } = await bothWays((on) => {
      const factor = scalar(2);
      const table = capture(Float32Array.of(1, 2, 3));
      const program = formula({ x: "f32", i: "i32" })`${factor} * x * x * ${table}[i]`;
      const x = on.tensor([1, 2, 3], [3], { requiresGrad: true });
      const i = on.tensor([0, 1, 2], [3], { dtype: "i32" });
      let t = 1;
      return {
        step: () => {
          const y = map(program, { x, i });
          sum(y).backward();
          const both = add(y.detach(), x.grad!.detach());
          x.zeroGrad();
          return both;
        },
        next: () => {
          t++;
          factor.value = t;
          table.set([t, t * t, 1]);
        },
      };
    }, 5);
    expect(replayed).toEqual(eager);
    expect(new Set(eager.map(String)).size).toBe(5);
  });

  it("a live number fills a tensor of any type anew", async () => {
    const live = { value: 1.5 };
    const whole = { get value() { return 2 * live.value; } };
    const recorded = engine.record(() => ({ f: engine.full([2], live), u: engine.full([2], whole, "u32"), i: engine.full([1], { get value() { return -whole.value; } }, "i32") }));
    live.value = 3.5;
    recorded.replay();
    const { f, u, i } = recorded.outputs;
    expect([await read(f), await read(u), await read(i)]).toEqual([[3.5, 3.5], [7, 7], [-7]]);
    recorded.dispose();
  });

  it("a live row of a target is written anew", async () => {
    const target = engine.zeros([3, 2]);
    const x = engine.tensor([1, 2]);
    const row = { value: 0 };
    const recorded = engine.record(() => { engine.assignRow(target, row, scale(x, addOne(row))); });
    for (row.value = 1; row.value < 3; row.value++) recorded.replay();
    expect(await read(target)).toEqual([1, 2, 2, 4, 3, 6]);
    expect(() => { recorded.replay(); }).toThrow(/TENSOR_VALUE.*row 3 of 3/s);
    recorded.dispose();
  });
});

const addOne = (live: LiveNumber): LiveNumber => ({ get value() { return live.value + 1; } });

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
    expect(engine.nextRandomStream()).toEqual(expect.any(Number));
    expect(gpu.stats.liveBytes).toBe(before);
  });
});
