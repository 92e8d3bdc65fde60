import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { checkpoint, createEngine, customOp, mean, mul, scale, sum, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const leaf = (data: number[], shape?: number[]): Tensor => engine.tensor(data, shape ?? [data.length], { requiresGrad: true });
const read = async (x: Tensor | undefined): Promise<number[]> => [...(await x!.read())];

describe("views", () => {
  it("read in row-major order of their own shape", async () => {
    const x = engine.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
    expect(await read(x.transpose())).toEqual([1, 4, 2, 5, 3, 6]);
    expect(await read(x.narrow(1, 1, 2))).toEqual([2, 3, 5, 6]);
    expect(await read(x.narrow(0, 1, 1).expand([3, 3]))).toEqual([4, 5, 6, 4, 5, 6, 4, 5, 6]);
    expect(await read(x.transpose().reshape([6]))).toEqual([1, 4, 2, 5, 3, 6]);
  });

  it("pass their gradient back to the elements they show", async () => {
    const x = leaf([1, 2, 3, 4, 5, 6], [2, 3]);
    const weights = engine.tensor([1, 10, 100, 1000], [2, 2]);
    engine.scope(() => { x.narrow(1, 1, 2).transpose().backward(weights); });
    expect(await read(x.grad)).toEqual([0, 1, 100, 0, 10, 1000]);
  });

  it("that stretch sum their gradient", async () => {
    const x = leaf([1, 2], [2, 1]);
    engine.scope(() => { sum(x.expand([3, 2, 4])).backward(); });
    expect(await read(x.grad)).toEqual([12, 12]);
  });
});

describe("sum", () => {
  it("over any axes equals the sum by hand, across several passes", async () => {
    const data = Float32Array.from({ length: 3 * 130 * 5 }, (_, i) => (i % 17) - 8);
    const x = engine.tensor(data, [3, 130, 5]);
    const middle = Array.from({ length: 15 }, (_, i) => {
      let s = 0;
      for (let r = 0; r < 130; r++) s += data[(Math.floor(i / 5) * 130 + r) * 5 + (i % 5)]!;
      return s;
    });
    expect(await read(sum(x, [1]))).toEqual(middle);
    expect(await read(sum(x, [0, 2]))).toHaveLength(130);
    expect((await read(sum(x)))[0]).toBe(data.reduce((a, b) => a + b, 0));
  });
});

describe("the tape", () => {
  it("adds up the gradients of a tensor that is used twice, and of two backward calls", async () => {
    const x = leaf([1, 2, 3]);
    for (let i = 0; i < 2; i++) engine.scope(() => { const y = x.reshape([3, 1]).expand([3, 2]); sum(y).backward(); });
    expect(await read(x.grad)).toEqual([4, 4, 4]);
  });

  it("frees all that a pass made, with and without backward", () => {
    const x = leaf([1, 2, 3]);
    const before = gpu.stats.liveBytes;
    engine.scope(() => { sum(x.reshape([3, 1]).contiguous()); });
    expect(gpu.stats.liveBytes).toBe(before);
    engine.scope(() => { sum(checkpoint((t) => t.expand([5, 3]).contiguous(), x)).backward(); });
    x.zeroGrad();
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("refuses a second backward through the same graph", () => {
    const x = leaf([1]);
    expect(() => { engine.scope(() => { const y = sum(x); y.backward(); y.backward(); }); }).toThrow(/TENSOR_GRAPH.*consumed/s);
  });

  it("gives the same gradient through a checkpoint", async () => {
    const x = leaf([1, 2, 3]);
    engine.scope(() => { sum(checkpoint((t) => t.expand([4, 3]), x)).backward(); });
    expect(await read(x.grad)).toEqual([4, 4, 4]);
  });
});

describe("mean", () => {
  it("divides the sum, and its gradient, by what it went over", async () => {
    const x = leaf([1, 2, 3, 4, 5, 6], [2, 3]);
    expect(await read(mean(x, [1]))).toEqual([2, 5]);
    engine.scope(() => { mean(x).backward(); });
    expect(await read(x.grad)).toEqual(new Array(6).fill(Math.fround(1 / 6)));
  });
});

describe("an operator of one's own", () => {
  // y = x², with a derivative that is written by hand: 2x.
  const square = customOp<{ readonly factor: number }>({
    forward: ([x], { factor }) => ({ output: scale(mul(x!, x!), factor), saves: [x!] }),
    backward: (g, [x], { factor }) => [scale(mul(g, x!), 2 * factor)],
  });

  it("has a place on the tape, and leaves nothing behind", async () => {
    const x = leaf([1, -2, 3]);
    const before = gpu.stats.liveBytes;
    engine.scope(() => { sum(square([x], { factor: 10 })).backward(); });
    expect(await read(x.grad)).toEqual([20, -40, 60]);
    x.zeroGrad();
    expect(gpu.stats.liveBytes).toBe(before);
  });
});

describe("handles", () => {
  it("kept out of their scope live until they are disposed of", async () => {
    let kept: Tensor | undefined;
    engine.scope(() => { kept = engine.keep(engine.full([2], 7)); });
    expect(await read(kept)).toEqual([7, 7]);
    kept!.dispose();
    expect(kept!.isLive).toBe(false);
  });

  it("of shapes that do not fit are refused with both shapes", () => {
    expect(() => engine.tensor([1, 2, 3], [2, 2])).toThrow(/TENSOR_SHAPE.*3 numbers for the shape \[2, 2\], which holds 4/s);
    expect(() => engine.zeros([2, 3]).reshape([4, 2])).toThrow(/TENSOR_SHAPE.*6 elements cannot take the shape \[4, 2\]/s);
    expect(() => engine.zeros([2, 3]).narrow(1, 2, 2)).toThrow(/TENSOR_SHAPE.*2\.\.4 of axis 1, which has 3/s);
    expect(() => mul(engine.zeros([2, 3]), engine.zeros([2, 4]))).toThrow(/TENSOR_SHAPE.*\[2, 3\] and \[2, 4\]/s);
  });

  it("say so when they are used after their scope", async () => {
    let lost: Tensor | undefined;
    engine.scope(() => { lost = engine.zeros([2, 2]); });
    await expect(async () => lost!.read()).rejects.toThrow(/TENSOR_RELEASED.*\[2, 2\]/s);
  });

  it("cannot be made in an asynchronous scope", () => {
    expect(() => engine.scope(async () => engine.zeros([1]).read())).toThrow(/TENSOR_SCOPE/);
  });
});
