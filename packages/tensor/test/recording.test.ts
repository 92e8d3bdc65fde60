import { capture, formula, scalar } from "@polyhead/expr";
import type { LiveNumber } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { adamwStep, add, checkpoint, createEngine, dropout, map, mean, mul, multinomial, randn, scale, sum, uniform, type Engine, type Tensor } from "../src/index.ts";

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
