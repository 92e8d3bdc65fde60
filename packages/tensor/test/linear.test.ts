import { formula } from "@polyhead/expr";
import { openNodeGpu } from "@polyhead/gpu-node";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, fromHalf, linear, toHalf } from "../src/index.ts";
import { matmulReference, matrix } from "./reference/matmul.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const swish = formula({ x: "f32" })`x * sigmoid(x)`;
const swish64 = (x: number): number => x / (1 + Math.exp(-x));

describe("linear", () => {
  it.each([[[2, 3, 8], 12], [[5, 7], 9], [[6], 5]] as const)("with bias, activation and residual is its formula, and so are its gradients: x %j, %i outputs", async (shape, outputs) => {
    const inputs = shape.at(-1)!;
    const rows = shape.slice(0, -1).reduce((p, n) => p * n, 1);
    const given = (size: number[], seed: number) => ({ shape: size, data: uniform(size.reduce((p, n) => p * n, 1), seed) });
    await checkGradients(
      {
        inputs: { x: given([...shape], 1), w: given([outputs, inputs], 2), bias: given([outputs], 3), residual: given([...shape.slice(0, -1), outputs], 4) },
        reference: ({ x, w, bias, residual }) =>
          matmulReference(1, rows, outputs, inputs, matrix(x!, rows, inputs), matrix(w!, inputs, outputs, true)).map((v, i) => swish64(v + bias![i % outputs]!) + residual![i]!),
        run: onEngine(engine, ({ x, w, bias, residual }) => linear(x!, w!, bias, { activation: swish, residual: residual! })),
      },
      { entries: 16 },
    );
  });

  it("is one dispatch, and two buffers while gradients are on", () => {
    const [x, w, bias] = [engine.zeros([4, 8]), engine.zeros([8, 8]), engine.zeros([8])];
    // Every new tensor is poisoned, which is a dispatch of its own.
    const count = (): number => {
      const before = gpu.stats.dispatches;
      engine.scope(() => { linear(x, w, bias, { activation: swish }); });
      return gpu.stats.dispatches - before;
    };
    expect(count()).toBe(1 + 1);
    w.requiresGrad = true;
    expect(count()).toBe(1 + 2);
    expect(engine.noGrad(count)).toBe(1 + 1);
  });

  it("reads an f16 weight, and passes a gradient through it", async () => {
    const [x, w] = [uniform(3 * 8, 5), uniform(5 * 8, 6)];
    const rounded = Float64Array.from(w, (v) => fromHalf(toHalf(v)));
    const input = engine.tensor(x, [3, 8], { requiresGrad: true });
    const y = linear(input, engine.tensor(w, [5, 8], { dtype: "f16" }));
    assertClose(await y.read(), matmulReference(1, 3, 5, 8, matrix(x, 3, 8), matrix(rounded, 8, 5, true)), { shape: [3, 5] });
    y.backward(engine.full([3, 5], 1));
    assertClose(await input.grad!.read(), matmulReference(1, 3, 8, 5, () => 1, matrix(rounded, 5, 8)), { shape: [3, 8] });
  });

  it.each([[8, 2, 3], [7, 3, 5], [64, 4, 4]])("reads rows of an f16 weight where they lie: of %i features, from row %i on", async (features, first, count) => {
    const [x, w] = [engine.tensor(uniform(2 * features, 5), [2, features]), engine.tensor(uniform(9 * features, 6), [9, features], { dtype: "f16" })];
    const rows = w.narrow(0, first, count);
    const whole = await linear(x, w).reshape([2, 9]).narrow(1, first, count).read();
    assertClose(await linear(x, rows).read(), whole, { shape: [2, count] });
    expect(() => w.narrow(1, 0, 2)).toThrow(/TENSOR_DTYPE.*narrow of an f16 tensor/s);
    if ((first * features * 2) % 256 !== 0) expect(() => rows.slice()).toThrow(/cannot be bound as it is/);
  });

  it("says which shape does not fit, and what an activation is", () => {
    const [x, w] = [engine.zeros([2, 3]), engine.zeros([4, 3])];
    expect(() => linear(engine.zeros([2, 4]), w)).toThrow(/x \[2, 4\] and weight \[4, 3\][^]*\[out, in\]/);
    expect(() => linear(x, w, engine.zeros([3]))).toThrow(/bias of shape \[3\][^]*\[4\]/);
    expect(() => linear(x, w, undefined, { residual: engine.zeros([2, 3]) })).toThrow(/residual of shape \[2, 3\]/);
    expect(() => linear(x, w, undefined, { activation: formula({ x: "f32", y: "f32" })`x * y` })).toThrow(/one f32 variable/);
  });
});
