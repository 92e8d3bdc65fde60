import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, layerNorm, layerNormWithStats, rmsNorm } from "../src/index.ts";
import { numbers, relativeError } from "./reference/compare.ts";
import { layerNormReference, rmsNormReference } from "./reference/norms.ts";
import { numericGradient } from "./reference/numeric-gradient.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const shapes: [rows: number, length: number][] = [[1, 1], [3, 3], [129, 63], [5, 100], [600, 64], [2, 129], [3, 300], [3, 5000]];
const EPS = 1e-5;

describe.each([
  { name: "layerNorm", op: layerNorm, reference: layerNormReference },
  { name: "rmsNorm", op: (x: Parameters<typeof rmsNorm>[0], gamma: Parameters<typeof rmsNorm>[1]) => rmsNorm(x, gamma, { eps: EPS }), reference: rmsNormReference },
])("$name", ({ name, op, reference }) => {
  const learned = (length: number): { gamma: Float32Array<ArrayBuffer>; beta: Float32Array<ArrayBuffer> | undefined } => ({ gamma: numbers(length, 2), beta: name === "layerNorm" ? numbers(length, 3) : undefined });

  it.each(shapes)("of [%i, %i] is its formula in float64", async (rows, length) => {
    const { gamma, beta } = learned(length);
    const data = numbers(rows * length);
    const x = engine.tensor(data, [rows, length]);
    const scaled = op(x, engine.tensor(gamma), beta && engine.tensor(beta));
    expect(relativeError(await scaled.read(), reference(data, { length, eps: EPS, gamma, beta }))).toBeLessThan(1e-5);
    expect(relativeError(await op(x, undefined).read(), reference(data, { length, eps: EPS }))).toBeLessThan(1e-5);
  });

  it.each([[1, 1], [3, 3], [70, 7], [3, 65], [40, 4]] as const)("of [%i, %i] has the gradient that finite differences find", async (rows, length) => {
    const { gamma, beta } = learned(length);
    const data = numbers(rows * length);
    const seed = numbers(rows * length, 9);
    const x = engine.tensor(data, [rows, length], { requiresGrad: true });
    const g = engine.tensor(gamma, [length], { requiresGrad: true });
    const b = beta && engine.tensor(beta, [length], { requiresGrad: true });
    engine.scope(() => { op(x, g, b).backward(engine.tensor(seed, [rows, length])); });
    expect(relativeError(await x.grad!.read(), numericGradient((v) => reference(v, { length, eps: EPS, gamma, beta }), data, seed))).toBeLessThan(1e-4);
    expect(relativeError(await g.grad!.read(), numericGradient((v) => reference(data, { length, eps: EPS, gamma: v, beta }), gamma, seed))).toBeLessThan(1e-4);
    if (beta) expect(relativeError(await b!.grad!.read(), numericGradient((v) => reference(data, { length, eps: EPS, gamma, beta: v }), beta, seed))).toBeLessThan(1e-4);
  });

  it("takes rows over several trailing axes, and views", async () => {
    const data = numbers(4 * 3 * 5);
    const x = engine.tensor(data, [3, 5, 4]).permute([2, 0, 1]);
    const rows = Float32Array.from({ length: 60 }, (_, i) => data[(i % 15) * 4 + Math.floor(i / 15)]!);
    const y = name === "layerNorm" ? layerNorm(x, undefined, undefined, { axis: 1 }) : rmsNorm(x, undefined, { axis: -2, eps: EPS });
    expect(y.shape).toEqual([4, 3, 5]);
    expect(relativeError(await y.read(), reference(rows, { length: 15, eps: EPS }))).toBeLessThan(1e-5);
  });

  it("gives the same bits on every run", async () => {
    const run = async (): Promise<Float32Array[]> => {
      const x = engine.tensor(numbers(300 * 100), [300, 100], { requiresGrad: true });
      const gamma = engine.tensor(numbers(100, 2), [100], { requiresGrad: true });
      engine.scope(() => { op(x, gamma, undefined).backward(engine.tensor(numbers(300 * 100, 5), [300, 100])); });
      return [(await x.grad!.read()) as Float32Array, (await gamma.grad!.read()) as Float32Array];
    };
    expect(await run()).toEqual(await run());
  });
});

it("layerNorm keeps its digits when the mean dwarfs the spread", async () => {
  const data = Float32Array.from(numbers(256), (v) => Math.fround(4096 + v));
  const y = await layerNorm(engine.tensor(data, [1, 256])).read();
  expect(relativeError(y, layerNormReference(data, { length: 256, eps: EPS }))).toBeLessThan(1e-3);
});

it("layerNorm gives mean and inverse deviation with the normalised axes at length 1", async () => {
  const data = [1, 3, 2, 2];
  const { mean, invStdDev } = layerNormWithStats(engine.tensor(data, [2, 1, 2]), undefined, undefined, { axis: 1, eps: 0.25 });
  expect([mean.shape, invStdDev.shape]).toEqual([[2, 1, 1], [2, 1, 1]]);
  expect([...(await mean.read())]).toEqual([2, 2]);
  expect(relativeError(await invStdDev.read(), [1 / Math.sqrt(1.25), 2])).toBeLessThan(1e-6);
});

it("rmsNorm with addOne scales by 1 + gamma, forward and backward", async () => {
  const [data, gamma, seed] = [numbers(12), numbers(4, 2), numbers(12, 3)];
  const x = engine.tensor(data, [3, 4], { requiresGrad: true });
  engine.scope(() => { rmsNorm(x, engine.tensor(gamma), { addOne: true, eps: EPS }).backward(engine.tensor(seed, [3, 4])); });
  const want = numericGradient((v) => rmsNormReference(v, { length: 4, eps: EPS, gamma: gamma.map((g) => g + 1) }), data, seed);
  expect(relativeError(await x.grad!.read(), want)).toBeLessThan(1e-4);
});

it("a gamma that does not fit is named with both shapes", () => {
  expect(() => layerNorm(engine.zeros([2, 3]), engine.zeros([2]))).toThrow(/TENSOR_SHAPE.*gamma has shape \[2\].*\[2, 3\] are \[3\]/s);
});
