import { capture, evaluate, formula, scalar, type Program } from "@polyhead/expr";
import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { add, broadcastShapes, createEngine, map, mapAll, mul, sum, where, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const read = async (x: Tensor | undefined): Promise<number[]> => [...(await x!.read())];
const numbers = (n: number, seed = 1): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.fround(Math.sin(seed * 12.9 + i * 1.7) * 2));
const leaf = (shape: number[], seed = 1): Tensor => engine.tensor(numbers(shape.reduce((p, n) => p * n, 1), seed), shape, { requiresGrad: true });

/** Element `flat` of the broadcast shape, read from data of shape `own`. */
function at(data: ArrayLike<number>, own: readonly number[], shape: readonly number[], flat: number): number {
  let rest = flat;
  let offset = 0;
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const place = rest % shape[axis]!;
    rest = Math.floor(rest / shape[axis]!);
    const n = own[axis - shape.length + own.length] ?? 1;
    if (n !== 1) offset += place * step;
    step *= n;
  }
  return data[offset]!;
}

interface Given { data: ArrayLike<number>; shape: readonly number[] }

/** The law: program and weights in float64, and its gradient for a loss Σ weight·y by central differences. */
function oracle(program: Program, given: Record<string, Given>, weights?: ArrayLike<number>): { y: number[]; gradients: Record<string, number[]> } {
  const shape = broadcastShapes(...Object.values(given).map((g) => g.shape));
  const size = shape.reduce((p, n) => p * n, 1);
  const env = (i: number): Record<string, number> => Object.fromEntries(Object.entries(given).map(([name, { data, shape: own }]) => [name, at(data, own, shape, i)]));
  const y = Array.from({ length: size }, (_, i) => evaluate(program, env(i))[0]!);
  const gradients: Record<string, number[]> = {};
  if (weights === undefined) return { y, gradients };
  for (const [name, { data, shape: own }] of Object.entries(given)) {
    const index = Array.from({ length: data.length }, (_, i) => i);
    const gradient = (gradients[name] = index.map(() => 0));
    for (let i = 0; i < size; i++) {
      const here = env(i);
      const h = 1e-5;
      const slope = (evaluate(program, { ...here, [name]: here[name]! + h })[0]! - evaluate(program, { ...here, [name]: here[name]! - h })[0]!) / (2 * h);
      gradient[at(index, own, shape, i)]! += slope * weights[i]!;
    }
  }
  return { y, gradients };
}

function expectClose(actual: readonly number[], wanted: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(wanted.length);
  const worst = Math.max(...wanted.map((w, i) => Math.abs(actual[i]! - w) / (1 + Math.abs(w))));
  expect(worst).toBeLessThan(tolerance); // NaN fails too
}

const mixed = formula({ a: "f32", b: "f32" })`tanh(a) * b + a * a`;

async function follows(program: Program, tensors: Record<string, Tensor>, options: { gradient?: boolean } = {}): Promise<void> {
  const given: Record<string, Given> = {};
  for (const [name, x] of Object.entries(tensors)) given[name] = { data: await x.read(), shape: x.shape };
  const shape = broadcastShapes(...Object.values(tensors).map((x) => x.shape));
  const weights = numbers(shape.reduce((p, n) => p * n, 1), 7);
  const { y, gradients } = oracle(program, given, options.gradient === false ? undefined : weights);
  const result = map(program, tensors);
  expect(result.shape).toEqual(shape);
  expectClose(await read(result), y, 1e-5);
  if (options.gradient === false) return;
  engine.scope(() => { map(program, tensors).backward(engine.tensor(weights, shape)); });
  for (const [name, x] of Object.entries(tensors)) expectClose(await read(x.grad), gradients[name]!, 1e-4);
}

describe("map follows its program in float64, and its gradient central differences", () => {
  it.each([
    { what: "equal shapes of odd size", a: [5, 7], b: [5, 7] },
    { what: "a repeated row", a: [3, 5, 8], b: [8] },
    { what: "a repeated odd row", a: [5, 7], b: [7] },
    { what: "a repeated matrix", a: [2, 3, 4], b: [3, 4] },
    { what: "a column", a: [6, 8], b: [6, 1] },
    { what: "a block in the middle", a: [2, 3, 8], b: [1, 3, 1] },
    { what: "one element", a: [9], b: [1] },
    { what: "a 0-d tensor", a: [3, 3], b: [] },
    { what: "both stretched", a: [4, 1, 3], b: [5, 1] },
    { what: "six axes", a: [2, 1, 2, 1, 2, 1], b: [2, 1, 2, 1, 3] },
  ])("with $what", async ({ a, b }) => {
    await follows(mixed, { a: leaf(a, 2), b: leaf(b, 3) });
  });

  it("with views read in place", async () => {
    const x = leaf([4, 6], 4);
    const y = leaf([6, 4], 5);
    const before = gpu.stats.dispatches;
    const result = mul(x.transpose(), y);
    expect(gpu.stats.dispatches - before).toBeLessThanOrEqual(2); // the kernel, and the poisoning of its output
    expectClose(await read(result), oracle(formula({ a: "f32", b: "f32" })`a * b`, { a: { data: await x.transpose().read(), shape: [6, 4] }, b: { data: await y.read(), shape: [6, 4] } }).y, 1e-6);
    engine.scope(() => { sum(mul(x.transpose(), y)).backward(); });
    expect(await read(x.grad)).toEqual(await read(y.transpose()));
    expect(await read(y.grad)).toEqual(await read(x.transpose()));
    await follows(mixed, { a: engine.tensor(numbers(40), [5, 8]).narrow(1, 1, 5), b: leaf([5], 3) }, { gradient: false });
  });

  it("with an f32 beside an i32", async () => {
    const program = formula({ x: "f32", n: "i32" })`x * n + (n % 3)`;
    const x = leaf([2, 5]);
    const n = engine.tensor([-4, 7, 0, 2, 9], [5], { dtype: "i32" });
    const wanted = oracle(program, { x: { data: await x.read(), shape: [2, 5] }, n: { data: [-4, 7, 0, 2, 9], shape: [5] } }).y;
    expectClose(await read(map(program, { x, n })), wanted, 1e-6);
    engine.scope(() => { sum(map(program, { x, n })).backward(); });
    expect(await read(x.grad)).toEqual([-4, 7, 0, 2, 9, -4, 7, 0, 2, 9]);
  });
});

describe("map", () => {
  it("takes numbers without compiling again", async () => {
    const program = formula({ x: "f32", c: "f32" })`x * c + c`;
    const x = leaf([3]);
    await map(program, { x, c: 2 }).read();
    const { pipelines } = gpu.stats;
    const data = await read(x);
    expectClose(await read(map(program, { x, c: -3 })), data.map((v) => v * -3 - 3), 1e-6);
    expect(gpu.stats.pipelines).toBe(pipelines);
    engine.scope(() => { sum(map(program, { x, c: -3 })).backward(); });
    expect(await read(x.grad)).toEqual([-3, -3, -3]);
  });

  it("gives every output of a program, each with its gradient", async () => {
    const polar = formula({ r: "f32", t: "f32" })`r * cos(t), r * sin(t)`;
    const r = leaf([5], 2);
    const t = leaf([5], 3);
    const [rs, ts] = [await read(r), await read(t)];
    engine.scope(() => { const [x, y] = mapAll(polar, { r, t }); sum(add(x!, mul(y!, 2))).backward(); });
    expectClose(await read(r.grad), rs.map((_, i) => Math.cos(ts[i]!) + 2 * Math.sin(ts[i]!)), 1e-5);
    expectClose(await read(t.grad), rs.map((v, i) => v * (2 * Math.cos(ts[i]!) - Math.sin(ts[i]!))), 1e-5);
  });

  it("reads captured tables, and a scalar capture as it was in the forward pass", async () => {
    const table = capture(Float32Array.of(10, 20, 30), [3]);
    const factor = scalar(2);
    const program = formula({ x: "f32", n: "i32" })`x * ${table}[n] * ${factor}`;
    const x = leaf([4]);
    const n = engine.tensor([2, 0, 1, 2], [4], { dtype: "u32" });
    const data = await read(x);
    engine.scope(() => {
      const y = sum(map(program, { x, n }));
      factor.value = 100;
      y.backward();
    });
    expect(await read(x.grad)).toEqual([60, 20, 40, 60]);
    table.set([1, 2, 3]);
    factor.value = 1;
    expectClose(await read(map(program, { x, n })), data.map((v, i) => v * [3, 1, 2, 3][i]!), 1e-6);
  });

  it("reads NaN outside of a table, unless the choice goes the other way", async () => {
    const table = capture(Float32Array.of(1, 2), [2]);
    const n = engine.tensor([-1, 0, 1, 2], [4], { dtype: "i32" });
    expect(await read(map(formula({ n: "i32" })`${table}[n]`, { n }))).toEqual([NaN, 1, 2, NaN]);
    expect(await read(map(formula({ n: "i32" })`n >= 0 && n < 2 ? ${table}[n] : 5.0`, { n }))).toEqual([5, 1, 2, 5]);
  });

  it("turns conditions into 1 and 0", async () => {
    const result = map(formula({ x: "f32" })`x > 1`, { x: engine.tensor([0, 1, 2]) });
    expect(result.dtype).toBe("i32");
    expect(await read(result)).toEqual([0, 0, 1]);
  });

  it("keeps NaN of the branch not taken out of result and gradient", async () => {
    const a = engine.tensor([1, NaN, 3], [3], { requiresGrad: true });
    const condition = engine.tensor([1, 0, 1], [3], { dtype: "u32" });
    expect(await read(where(condition, a, 7))).toEqual([1, 7, 3]);
    engine.scope(() => { sum(where(condition, mul(a, a), 7)).backward(engine.full([], 1)); });
    expect((await read(a.grad)).filter((_, i) => i !== 1)).toEqual([2, 6]);
  });

  it("uses more kernels for a gradient that would bind more buffers than the device allows", async () => {
    const program = formula({ a: "f32", b: "f32", c: "f32", d: "f32" })`a * b * c * d`;
    const tensors = { a: leaf([5], 1), b: leaf([5], 2), c: leaf([5], 3), d: leaf([5], 4) };
    await follows(program, tensors);
  });

  it("leaves a tensor without elements empty", async () => {
    expect(add(engine.zeros([0, 3]), 1).shape).toEqual([0, 3]);
    expect(await read(add(engine.zeros([0, 3]), 1))).toEqual([]);
  });

  it("says what is wrong with its operands", () => {
    const x = engine.zeros([2, 3]);
    expect(() => add(x, engine.zeros([2]))).toThrow(/TENSOR_SHAPE.*\[2, 3\] and \[2\]/s);
    expect(() => add(engine.zeros([2], "f16"), 1)).toThrow(/TENSOR_DTYPE.*cast it to f32/s);
    expect(() => add(engine.zeros([2], "i32"), 1)).toThrow(/TENSOR_DTYPE.*i32/s);
    expect(() => add(1, 2)).toThrow(/TENSOR_VALUE.*numbers alone/s);
    expect(() => map(mixed, { a: x })).toThrow(/TENSOR_VALUE.*'b'/s);
    expect(() => map(mixed, { a: x, b: x, c: x })).toThrow(/TENSOR_VALUE.*'c'/s);
  });
});
