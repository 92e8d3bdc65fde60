import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { abs, add, addScalar, createEngine, div, exp, gelu, geluTanh, log, maximum, minimum, mul, neg, relu, scale, sigmoid, silu, softcap, sqrt, square, sub, sum, swiglu, tanh, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

/** Φ(x) by Simpson's rule on the density: nothing in common with the code under test. */
function normalBelow(x: number): number {
  const [steps, low] = [2000, -12];
  const h = (x - low) / steps;
  let total = 0;
  for (let i = 0; i <= steps; i++) total += (i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2) * Math.exp(-((low + i * h) ** 2) / 2);
  return (total * h) / 3 / Math.sqrt(2 * Math.PI);
}

// Zero and large magnitudes included; nothing within a difference's step of a kink.
const everywhere = [-30, -9, -5.5, -3, -1.25, -0.5, -0.01, 0.01, 0.3, 0.75, 1.5, 2, 4, 7.5, 30];
const positive = [1e-3, 0.25, 1, 1.5, 9, 1e4];

interface Law { readonly name: string; readonly op: (x: Tensor) => Tensor; readonly law: (x: number) => number; readonly at?: readonly number[] }

const laws: readonly Law[] = [
  { name: "relu", op: relu, law: (x) => Math.max(0, x) },
  { name: "gelu", op: gelu, law: (x) => x * normalBelow(x) },
  { name: "geluTanh", op: geluTanh, law: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))) },
  { name: "silu", op: silu, law: (x) => x * logistic(x) },
  { name: "silu with beta", op: (x) => silu(x, { beta: 1.702 }), law: (x) => x * logistic(1.702 * x) },
  { name: "softcap", op: (x) => softcap(x, 5), law: (x) => 5 * Math.tanh(x / 5) },
  { name: "tanh", op: tanh, law: Math.tanh },
  { name: "sigmoid", op: sigmoid, law: logistic },
  { name: "exp", op: exp, law: Math.exp, at: everywhere.filter((x) => x < 10) },
  { name: "log", op: log, law: Math.log, at: positive },
  { name: "sqrt", op: sqrt, law: Math.sqrt, at: positive },
  { name: "square", op: square, law: (x) => x * x },
  { name: "abs", op: abs, law: Math.abs },
  { name: "neg", op: neg, law: (x) => -x },
  { name: "scale", op: (x) => scale(x, -2.5), law: (x) => -2.5 * x },
  { name: "addScalar", op: (x) => addScalar(x, 0.75), law: (x) => x + 0.75 },
];

function expectClose(actual: ArrayLike<number>, wanted: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(wanted.length);
  wanted.forEach((w, i) => { expect(Math.abs(actual[i]! - w) / (1 + Math.abs(w)), `element ${i}: ${actual[i]!} for ${w}`).toBeLessThan(tolerance); });
}

const slope = (f: (x: number) => number, x: number): number => {
  const h = 1e-4 * Math.max(1e-2, Math.abs(x));
  return (f(x + h) - f(x - h)) / (2 * h);
};

describe("every function of one tensor is its formula, and its gradient the formula's slope", () => {
  it.each(laws)("$name", async ({ op, law, at = everywhere }) => {
    const points = [...Float32Array.from(at)];
    const x = engine.tensor(points, [points.length], { requiresGrad: true });
    const y = engine.scope(() => { const z = op(x); sum(z).backward(); return z; });
    expectClose(await y.read(), points.map(law), 1e-5);
    expectClose(await x.grad!.read(), points.map((p) => slope(law, p)), 1e-4);
  });
});

describe("every function of two tensors is its formula, and its gradients the formula's slopes", () => {
  it.each<{ name: string; op: (a: Tensor, b: Tensor) => Tensor; law: (a: number, b: number) => number }>([
    { name: "add", op: add, law: (a, b) => a + b },
    { name: "sub", op: sub, law: (a, b) => a - b },
    { name: "mul", op: mul, law: (a, b) => a * b },
    { name: "div", op: div, law: (a, b) => a / b },
    { name: "maximum", op: maximum, law: Math.max },
    { name: "minimum", op: minimum, law: Math.min },
    { name: "swiglu", op: swiglu, law: (gate, up) => gate * logistic(gate) * up },
  ])("$name", async ({ op, law }) => {
    const [first, second] = [[-2, -0.5, 0.25, 1, 3, 8, -6], [0.5, -1.5, 2, -4, 1.25, 0.75, -3]];
    const [a, b] = [engine.tensor(first, [7], { requiresGrad: true }), engine.tensor(second, [7], { requiresGrad: true })];
    const y = engine.scope(() => { const z = op(a, b); sum(z).backward(); return z; });
    expectClose(await y.read(), first.map((p, i) => law(p, second[i]!)), 1e-5);
    expectClose(await a.grad!.read(), first.map((p, i) => slope((t) => law(t, second[i]!), p)), 1e-4);
    expectClose(await b.grad!.read(), second.map((p, i) => slope((t) => law(first[i]!, t), p)), 1e-4);
  });

  it("takes a number on either side", async () => {
    const x = engine.tensor([1, 2, 4]);
    expect([...(await sub(1, x).read())]).toEqual([0, -1, -3]);
    expect([...(await div(8, x).read())]).toEqual([8, 4, 2]);
  });
});

describe("at a kink", () => {
  it("relu and abs are flat, and the first operand of a tie gets the whole gradient", async () => {
    const zero = engine.tensor([0], [1], { requiresGrad: true });
    engine.scope(() => { sum(relu(zero)).backward(); sum(abs(zero)).backward(); });
    expect([...(await zero.grad!.read())]).toEqual([0]);
    const [a, b] = [engine.tensor([2], [1], { requiresGrad: true }), engine.tensor([2], [1], { requiresGrad: true })];
    engine.scope(() => { sum(maximum(a, b)).backward(); sum(minimum(a, b)).backward(); });
    expect([(await a.grad!.read())[0], (await b.grad!.read())[0]]).toEqual([2, 0]);
  });

  it("relu lets NaN through", async () => {
    expect([...(await relu(engine.tensor([NaN, -1, 2])).read())]).toEqual([NaN, 0, 2]);
  });
});
