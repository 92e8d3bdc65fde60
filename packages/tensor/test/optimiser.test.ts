import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { adamwStep, createEngine, gradNorm, normal, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });
const read = async (x: Tensor | undefined): Promise<number[]> => [...(await x!.read())];
const random = (size: number, stream: number): Float32Array => normal(size, { std: 1, seed: 3, stream });
const close = (got: readonly number[], want: ArrayLike<number>, tolerance: number): void => {
  got.forEach((x, i) => { expect(Math.abs(x - want[i]!), `entry ${i}: ${x} against ${want[i]!}`).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(want[i]!))); });
};

describe("adamwStep", () => {
  it("equals AdamW with clipping in float64, over several steps and odd sizes", async () => {
    const sizes = [1, 63, 4099];
    const options = { rate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, clip: 2 };
    const decay = [0, 0.1, 0.1];
    const params = sizes.map((n, i) => engine.tensor(random(n, i), [n], { requiresGrad: true }));
    const [first, second] = [sizes.map((n) => engine.zeros([n])), sizes.map((n) => engine.zeros([n]))];
    const want = params.map((_, i) => ({ p: Float64Array.from(random(sizes[i]!, i)), m: new Float64Array(sizes[i]!), v: new Float64Array(sizes[i]!) }));
    for (let step = 1; step <= 3; step++) {
      const gradients = sizes.map((n, i) => random(n, 10 * step + i));
      params.forEach((p, i) => { p.zeroGrad(); p.grad = engine.tensor(gradients[i]!, [sizes[i]!]); });
      const { norm } = adamwStep(params, { first, second }, { ...options, step, weightDecay: decay });
      const length = Math.sqrt(gradients.reduce((sum, g) => sum + g.reduce((s, x) => s + x * x, 0), 0));
      close(await read(norm), [length], 1e-6);
      close(await read(gradNorm(params)), [length], 1e-6);
      const factor = Math.min(1, options.clip / (length + 1e-6));
      want.forEach(({ p, m, v }, i) => {
        for (let j = 0; j < p.length; j++) {
          const g = gradients[i]![j]! * factor;
          m[j] = options.beta1 * m[j]! + (1 - options.beta1) * g;
          v[j] = options.beta2 * v[j]! + (1 - options.beta2) * g * g;
          const corrected = m[j]! / (1 - options.beta1 ** step) / (Math.sqrt(v[j]! / (1 - options.beta2 ** step)) + options.epsilon);
          p[j] = p[j]! * (1 - options.rate * decay[i]!) - options.rate * corrected;
        }
      });
    }
    for (const [i, p] of params.entries()) close(await read(p), want[i]!.p, 1e-5);
  });

  it("gives the same bits on every run", async () => {
    const run = async (): Promise<number[][]> => {
      const params = [5, 9000].map((n, i) => {
        const p = engine.tensor(random(n, i), [n], { requiresGrad: true });
        p.grad = engine.tensor(random(n, 20 + i), [n]);
        return p;
      });
      const zeros = (): Tensor[] => params.map(({ shape }) => engine.zeros(shape));
      const { norm } = adamwStep(params, { first: zeros(), second: zeros() }, { rate: 0.1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, step: 1, weightDecay: [0, 0.1], clip: 1 });
      return Promise.all([norm, ...params].map(read));
    };
    expect(await run()).toEqual(await run());
  });

  it("refuses parameters of which none has a gradient", () => {
    const p = engine.tensor([1], [1], { requiresGrad: true });
    expect(() => adamwStep([p], { first: [engine.zeros([1])], second: [engine.zeros([1])] }, { rate: 1, beta1: 0, beta2: 0, epsilon: 1, step: 1, weightDecay: [0] })).toThrow(/TENSOR_VALUE.*none has a gradient/s);
  });
});
