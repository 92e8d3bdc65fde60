import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, crossEntropy, logSoftmax, softmax } from "../src/index.ts";
import { numbers, relativeError } from "./reference/compare.ts";
import { numericGradient } from "./reference/numeric-gradient.ts";
import { crossEntropyReference, softmaxReference } from "./reference/softmax.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

describe.each([{ name: "softmax", op: softmax, log: false }, { name: "logSoftmax", op: logSoftmax, log: true }])("$name", ({ op, log }) => {
  it.each([[1, 1], [3, 3], [129, 63], [5, 100], [600, 64], [2, 129], [3, 300], [2, 5001]])("of [%i, %i] is its formula in float64", async (rows, length) => {
    const data = numbers(rows * length, 1, 8);
    expect(relativeError(await op(engine.tensor(data, [rows, length])).read(), softmaxReference(data, length, log))).toBeLessThan(1e-5);
  });

  it("runs along any axis", async () => {
    const data = numbers(2 * 3 * 5);
    const x = engine.tensor(data, [2, 3, 5]);
    for (const axis of [0, 1, -2]) {
      const want = await op(engine.tensor(await x.permute(axis === 0 ? [1, 2, 0] : [0, 2, 1]).read(), axis === 0 ? [3, 5, 2] : [2, 5, 3])).permute(axis === 0 ? [2, 0, 1] : [0, 2, 1]).read();
      expect(await op(x, axis).read()).toEqual(want);
    }
  });

  it("takes numbers of any size, and rows with and of −∞", async () => {
    const data = [1e30, 1e30, -1e30, -3e38, -3e38, -3e38, -Infinity, 2, 2, -Infinity, -Infinity, -Infinity, 0, 88.8, 200];
    expect(relativeError(await op(engine.tensor(data, [5, 3])).read(), softmaxReference(data.map(Math.fround), 3, log))).toBeLessThan(1e-5);
  });

  it.each([[1, 1], [3, 3], [2, 65], [40, 4]])("of [%i, %i] has the gradient that finite differences find", async (rows, length) => {
    const [data, seed] = [numbers(rows * length), numbers(rows * length, 9)];
    const x = engine.tensor(data, [rows, length], { requiresGrad: true });
    engine.scope(() => { op(x).backward(engine.tensor(seed, [rows, length])); });
    expect(relativeError(await x.grad!.read(), numericGradient((v) => softmaxReference(v, length, log), data, seed))).toBeLessThan(1e-4);
  });
});

it("a softmax row of −∞ has no gradient, and does not spoil its neighbours", async () => {
  const x = engine.tensor([-Infinity, -Infinity, 0, 1], [2, 2], { requiresGrad: true });
  engine.scope(() => { softmax(x).backward(engine.tensor([1, 2, 3, 4], [2, 2])); });
  const p = 1 / (1 + Math.E);
  expect(relativeError(await x.grad!.read(), [0, 0, -p * (1 - p), p * (1 - p)])).toBeLessThan(1e-5);
});

describe("crossEntropy", () => {
  const targetsFor = (rows: number, length: number): number[] => Array.from({ length: rows }, (_, i) => (i % 4 === 1 ? -100 : (i * 7) % length));

  it.each([[1, 1], [3, 3], [129, 63], [600, 64], [3, 5000], [2, 129]])("of [%i, %i] is its formula in float64, by each reduction", async (rows, length) => {
    const data = numbers(rows * length, 1, 6);
    const targets = targetsFor(rows, length);
    const each = crossEntropyReference(data, length, targets);
    const total = each.reduce((a, b) => a + b, 0);
    const [x, t] = [engine.tensor(data, [rows, length]), engine.tensor(targets, [rows], { dtype: "i32" })];
    expect(relativeError(await crossEntropy(x, t, { reduction: "none" }).read(), each)).toBeLessThan(1e-5);
    expect(relativeError(await crossEntropy(x, t, { reduction: "sum" }).read(), [total])).toBeLessThan(1e-5);
    expect(relativeError(await crossEntropy(x, t).read(), [total / targets.filter((v) => v >= 0).length])).toBeLessThan(1e-5);
  });

  it.each(["mean", "sum", "none"] as const)("by %s has the gradient that finite differences find", async (reduction) => {
    for (const [rows, length] of [[5, 4], [3, 7]] as const) {
      const data = numbers(rows * length);
      const targets = targetsFor(rows, length);
      const weight = reduction === "mean" ? 1 / targets.filter((v) => v >= 0).length : 1;
      const seed = reduction === "none" ? numbers(rows, 4) : new Float32Array(rows).fill(3 * weight);
      const x = engine.tensor(data, [rows, length], { requiresGrad: true });
      engine.scope(() => {
        const loss = crossEntropy(x, engine.tensor(targets, [rows], { dtype: "i32" }), { reduction });
        loss.backward(reduction === "none" ? engine.tensor(seed) : engine.full([], 3));
      });
      expect(relativeError(await x.grad!.read(), numericGradient((v) => crossEntropyReference(v, length, targets), data, seed))).toBeLessThan(1e-4);
    }
  });

  it("takes more leading axes, and u32 targets", async () => {
    const data = numbers(2 * 3 * 5);
    const loss = crossEntropy(engine.tensor(data, [2, 3, 5]), engine.tensor([0, 1, 2, 3, 4, 0], [2, 3], { dtype: "u32" }), { reduction: "none" });
    expect(loss.shape).toEqual([2, 3]);
    expect(relativeError(await loss.read(), crossEntropyReference(data, 5, [0, 1, 2, 3, 4, 0]))).toBeLessThan(1e-5);
  });

  it("of ignored rows alone is 0, with no gradient", async () => {
    const x = engine.tensor([1, 2, 3, 4], [2, 2], { requiresGrad: true });
    let loss = NaN;
    const kept = engine.scope(() => { const l = crossEntropy(x, engine.tensor([7, 7], [2], { dtype: "u32" }), { ignoreIndex: 7 }); l.backward(); return l; });
    loss = await kept.item();
    expect([loss, ...(await x.grad!.read())]).toEqual([0, 0, 0, 0, 0]);
  });

  it("turns NaN at a target that names no class, in its own row alone", async () => {
    const x = engine.tensor([1, 2, 1, 2], [2, 2]);
    expect([...(await crossEntropy(x, engine.tensor([2, 1], [2], { dtype: "u32" }), { reduction: "none" }).read())]).toEqual([NaN, expect.closeTo(Math.log(1 + Math.exp(-1)), 5)]);
  });

  it("names both shapes when they do not match", () => {
    expect(() => crossEntropy(engine.zeros([2, 3]), engine.zeros([3], "u32"))).toThrow(/TENSOR_SHAPE.*\[2, 3\].*\[3\]/s);
  });
});
