import { evaluate } from "@polyhead/expr";
import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { cast, checkpoint, concat, createEngine, dropout, normal, philox, randn, split, stack, sum, uniform, type Tensor } from "../src/index.ts";
import { boxMuller, counterOf, drawNormal, toUnit, USE } from "../src/philox.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 7 });
afterAll(() => { gpu.dispose(); });
const read = async (x: Tensor | undefined): Promise<number[]> => [...(await x!.read())];

describe("philox", () => {
  it("gives Random123's published answers", () => {
    const hex = (words: readonly number[]): string => words.map((w) => w.toString(16).padStart(8, "0")).join(" ");
    expect(hex(philox([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
    expect(hex(philox([0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
    expect(hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe("d16cfe09 94fdcceb 5001e420 24126ea1");
  });

  it("draws the same numbers on the GPU, bit by bit", async () => {
    const got = await read(uniform(engine, [37], { seed: 123_456_789, stream: 5 }));
    const want = Array.from({ length: 37 }, (_, i) => toUnit(philox(counterOf(Math.floor(i / 4), 5), [123_456_789, USE.uniform])[i % 4]!));
    expect(got).toEqual(want);
  });

  it("makes normal numbers of the mean and spread asked for", () => {
    const values = normal(20_001, { mean: 3, std: 2, seed: 1, stream: 2 });
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const spread = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
    expect(mean).toBeCloseTo(3, 1);
    expect(spread).toBeCloseTo(2, 1);
  });
});

describe("uniform", () => {
  it("never reaches its upper end, though the sum may round up to it", async () => {
    const values = await uniform(engine, [200_000], { low: 1000, high: 1001, stream: 1 }).read();
    expect(Math.min(...values.subarray(0, 50_000))).toBeGreaterThanOrEqual(1000);
    expect(values.filter((v) => v >= 1001)).toHaveLength(0);
    expect(values.filter((v) => v === Math.fround(1001 - 2 ** -14)).length).toBeGreaterThan(0);
    expect(() => uniform(engine, [1], { low: 1, high: 1 })).toThrow(/TENSOR_VALUE.*from 1 to 1/s);
  });
});

describe("randn", () => {
  it("gives what the host draws from the same words, in odd sizes", async () => {
    const options = { mean: 0.5, std: 2, seed: 3, stream: 9 };
    const [got, want] = [await read(randn(engine, [33, 307], options)), drawNormal(33 * 307, options, USE.noise)];
    expect(Math.max(...got.map((v, i) => Math.abs(v - want[i]!)))).toBeLessThan(1e-5);
    expect(() => randn(engine, [1], { std: -1 })).toThrow(/TENSOR_VALUE.*deviation -1/s);
  });

  it("has a transform that is right on both sides of where its series ends, and at both ends", () => {
    for (const u of [0, 2 ** -24, 1e-3, 1 / 64 - 2 ** -24, 1 / 64, 0.5, 1 - 2 ** -24]) {
      const radius = Math.sqrt(-2 * Math.log1p(-u));
      const [x, y] = evaluate(boxMuller, { u, v: 0.125 });
      expect(Math.abs(x! - radius * Math.SQRT1_2)).toBeLessThan(1e-7 * radius + 1e-12);
      expect(Math.abs(y! - radius * Math.SQRT1_2)).toBeLessThan(1e-7 * radius + 1e-12);
    }
  });

  it("shares no numbers with initial weights of the same seed and stream", async () => {
    const weights = normal(8, { std: 1, seed: 1, stream: 0 });
    (await read(randn(engine, [8], { seed: 1, stream: 0 }))).forEach((v, i) => { expect(Math.abs(v - weights[i]!)).toBeGreaterThan(1e-3); });
  });
});

describe("dropout", () => {
  it("refuses what is no probability, and drops nothing at 0", async () => {
    const x = engine.tensor([1, 2, 3, 4, 5]);
    for (const p of [1, -0.1, NaN]) expect(() => dropout(x, p)).toThrow(/TENSOR_VALUE/);
    expect(await read(dropout(x, 0))).toEqual([1, 2, 3, 4, 5]);
  });

  it("drops the same elements in its gradient, and scales the others up", async () => {
    const x = engine.tensor(new Float32Array(1001).fill(2), [1001], { requiresGrad: true });
    const y = engine.scope(() => { const z = dropout(x, 0.25); sum(z).backward(); return z; });
    const [values, gradient] = [await read(y), await read(x.grad)];
    const kept = values.filter((v) => v !== 0).length;
    expect(kept / 1001).toBeGreaterThan(0.69);
    expect(kept / 1001).toBeLessThan(0.81);
    values.forEach((v, i) => { expect([v, gradient[i]]).toEqual(v === 0 ? [0, 0] : [Math.fround(2 / 0.75), Math.fround(1 / 0.75)]); });
  });

  it("repeats its numbers under a checkpoint, and differs from call to call", async () => {
    const x = engine.tensor(new Float32Array(64).fill(1), [64], { requiresGrad: true });
    const y = engine.scope(() => { const z = checkpoint((t) => dropout(t, 0.5), x); z.backward(engine.full([64], 1)); return z.detach(); });
    expect(await read(x.grad)).toEqual(await read(y));
    expect(await read(dropout(x, 0.5))).not.toEqual(await read(dropout(x, 0.5)));
  });
});

describe("concat", () => {
  it("joins along any axis, and cuts its gradient up again", async () => {
    const [a, b] = [engine.tensor([1, 2, 3, 4], [2, 2], { requiresGrad: true }), engine.tensor([5, 6], [2, 1], { requiresGrad: true })];
    const y = engine.scope(() => { const z = concat([a, b], 1); z.backward(engine.tensor([1, 2, 3, 4, 5, 6], [2, 3])); return z; });
    expect(await read(y)).toEqual([1, 2, 5, 3, 4, 6]);
    expect([await read(a.grad), await read(b.grad)]).toEqual([[1, 2, 4, 5], [3, 6]]);
    expect(await Promise.all(split(y, [1, 2], 1).map(read))).toEqual([[1, 3], [2, 5, 4, 6]]);
    expect(() => concat([a, b], 0)).toThrow(/TENSOR_SHAPE.*\[2, 2\] and \[2, 1\]/s);
  });

  it("joins views and whole numbers, and skips what is empty", async () => {
    const x = engine.tensor([1, 2, 3, 4, 5, 6], [2, 3], { dtype: "i32" });
    expect(await read(concat([x.transpose(), engine.empty([0, 2], "i32"), x.narrow(1, 1, 2)], 0))).toEqual([1, 4, 2, 5, 3, 6, 2, 3, 5, 6]);
    expect(() => concat([cast(engine.tensor([1, 2]), "f16")], 0)).toThrow(/TENSOR_DTYPE.*concat of f16/s);
    expect(() => split(x, [1, 3], 1)).toThrow(/TENSOR_SHAPE.*\[2, 3\].*\[1, 3\]/s);
  });
});

describe("stack", () => {
  it("puts the new axis where asked, from either side, and hands each its part of the gradient", async () => {
    const [a, b] = [engine.tensor([1, 2], [2], { requiresGrad: true }), engine.tensor([3, 4], [2], { requiresGrad: true })];
    expect(await read(stack([a, b]))).toEqual([1, 2, 3, 4]);
    for (const axis of [1, -1]) {
      const y = stack([a, b], axis);
      expect(y.shape).toEqual([2, 2]);
      expect(await read(y)).toEqual([1, 3, 2, 4]);
    }
    engine.scope(() => { stack([a, b, a], -1).backward(engine.tensor([1, 2, 4, 8, 16, 32], [2, 3])); });
    expect([await read(a.grad), await read(b.grad)]).toEqual([[5, 40], [2, 16]]);
    expect(() => stack([a, b], 2)).toThrow(/TENSOR_SHAPE.*axis 2/s);
    expect(() => stack([a, engine.tensor([1])])).toThrow(/TENSOR_SHAPE.*\[2\] and \[1\]/s);
    expect(() => stack([])).toThrow(/TENSOR_SHAPE/);
  });

  it("leaves nothing behind outside of a scope", () => {
    const before = gpu.stats.liveBytes;
    const [a, b] = [engine.tensor([1, 2]), engine.tensor([3, 4])];
    stack([a, b]).dispose();
    a.dispose();
    b.dispose();
    expect(gpu.stats.liveBytes).toBe(before);
  });
});

describe("cast", () => {
  it("rounds to half precision as IEEE 754 says, for odd sizes", async () => {
    const values = [0, 1, -2.5, 65504, 65519, 65520, 1e9, 2 ** -24, 2 ** -25, 1.5 * 2 ** -25, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 0.1];
    const half = cast(engine.tensor(values), "f16");
    expect(await read(half)).toEqual([...(await engine.tensor(values, [values.length], { dtype: "f16" }).read())]);
    expect(await read(cast(half, "f32"))).toEqual(await read(half));
  });

  it("saturates, makes NaN 0, and rounds whole numbers that f32 cannot hold", async () => {
    const wild = [3e9, -3e9, 5e9, Infinity, -Infinity, NaN];
    expect(await read(cast(engine.tensor(wild), "i32"))).toEqual([2147483520, -2147483648, 2147483520, 2147483520, -2147483648, 0]);
    expect(await read(cast(engine.tensor(wild), "u32"))).toEqual([3e9, 0, 4294967040, 4294967040, 0, 0]);
    expect(await read(cast(engine.tensor([16777217, 16777219, -5], [3], { dtype: "i32" }), "f32"))).toEqual([16777216, 16777220, -5]);
    expect(await read(cast(engine.tensor([0xffffffff], [1], { dtype: "u32" }), "i32"))).toEqual([-1]);
    expect(() => cast(cast(engine.tensor([1]), "f16"), "i32")).toThrow(/TENSOR_DTYPE.*f16 to i32/s);
  });

  it("cuts numbers towards zero, and passes gradients through storage", async () => {
    expect(await read(cast(engine.tensor([1.9, -1.9, 3]), "i32"))).toEqual([1, -1, 3]);
    const x = engine.tensor([1, 2, 3], [3], { requiresGrad: true });
    engine.scope(() => { sum(cast(cast(x, "f16"), "f32")).backward(); });
    expect(await read(x.grad)).toEqual([1, 1, 1]);
  });
});
