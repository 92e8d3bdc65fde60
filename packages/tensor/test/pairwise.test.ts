import { capture, evaluate, pairMod, type Program } from "@polyhead/expr";
import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { captureTensor, createEngine, pairwise, type PairwiseOptions, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const [B, H, T, D] = [2, 3, 5, 12] as const;
const numbers = (n: number, seed: number): Float32Array => Float32Array.from({ length: n }, (_, i) => Math.fround(Math.sin(seed * 12.9 + i * 1.7)));
const angles = Float32Array.from({ length: 20 * 4 }, (_, i) => Math.floor(i / 4) * 0.7 ** (i % 4));
const cos = capture(angles.map(Math.cos), [20, 4]);
const sin = capture(angles.map(Math.sin), [20, 4]);

const rotation = pairMod`x0 * ${cos}[position, pair] - x1 * ${sin}[position, pair], x0 * ${sin}[position, pair] + x1 * ${cos}[position, pair]`;
const bent = pairMod`tanh(x0 * x1) * (head + 1), x1 * x1 + 0.1 * position`;

/** The law in float64, pair by pair, over a flat [B, H, T, D]. */
function oracle(program: Program, x: ArrayLike<number>, { layout, rotaryDim }: { layout: "half" | "interleaved"; rotaryDim: number }, position: (b: number, t: number) => number): number[] {
  const y = Array.from(x);
  for (let b = 0; b < B; b++) for (let h = 0; h < H; h++) for (let t = 0; t < T; t++) for (let i = 0; i < rotaryDim / 2; i++) {
    const row = ((b * H + h) * T + t) * D;
    const [d0, d1] = layout === "half" ? [row + i, row + i + rotaryDim / 2] : [row + 2 * i, row + 2 * i + 1];
    [y[d0], y[d1]] = evaluate(program, { x0: x[d0]!, x1: x[d1]!, position: position(b, t), pair: i, head: h }) as [number, number];
  }
  return y;
}

function expectClose(actual: ArrayLike<number>, wanted: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(wanted.length);
  expect(Math.max(...wanted.map((w, i) => Math.abs(actual[i]! - w)))).toBeLessThan(tolerance);
}

/** d Σ weight·y / dx by central differences. */
function slopes(f: (x: Float64Array) => number[], x: ArrayLike<number>, weights: ArrayLike<number>): number[] {
  return Array.from(x, (_, i) => {
    const h = 1e-5;
    const moved = (by: number): number => {
      const copy = Float64Array.from(x);
      copy[i]! += by;
      return f(copy).reduce((sum, y, k) => sum + y * weights[k]!, 0);
    };
    return (moved(h) - moved(-h)) / (2 * h);
  });
}

describe("pairwise follows its program in float64, and its gradient central differences", () => {
  it.each([
    { what: "rotation in halves at an offset", program: rotation, layout: "half", rotaryDim: 8, offset: 3 },
    { what: "interleaved rotation at positions of its own", program: rotation, layout: "interleaved", rotaryDim: 8, offset: undefined },
    { what: "a map that is not linear, of whole heads", program: bent, layout: "half", rotaryDim: 12, offset: 0 },
  ] as const)("with $what", async ({ program, layout, rotaryDim, offset }) => {
    const rows = Uint32Array.from({ length: B * T }, (_, i) => (i * 7) % 20);
    const positions = offset === undefined ? engine.tensor(rows, [B, T], { dtype: "u32" }) : { offset };
    const at = (b: number, t: number): number => (offset === undefined ? rows[b * T + t]! : offset + t);
    // Stored as [B, T, H, D], as a projection leaves it.
    const stored = engine.tensor(numbers(B * H * T * D, 1), [B, T, H, D], { requiresGrad: true });
    const heads = (): Tensor => stored.permute([0, 2, 1, 3]);
    const options: PairwiseOptions = { layout, rotaryDim, positions };
    const x = await heads().read();
    const f = (data: ArrayLike<number>): number[] => oracle(program, data, { layout, rotaryDim }, at);
    const y = pairwise(heads(), program, options);
    expect(y.isContiguous).toBe(true);
    expectClose(await y.read(), f(x), 1e-5);
    const weights = numbers(x.length, 2);
    engine.scope(() => { pairwise(heads(), program, options).backward(engine.tensor(weights, [B, H, T, D])); });
    expectClose(await stored.grad!.permute([0, 2, 1, 3]).read(), slopes(f, x, weights), 1e-4);
  });
});

describe("pairwise", () => {
  it("reads a bound tensor instead of the capture of that name", async () => {
    const table = capture(Float32Array.of(1, 1), [2], { name: "gain" });
    const program = pairMod`x0 * ${table}[pair], x1 * ${table}[pair]`;
    const gain = engine.tensor([2, 5]);
    const x = engine.tensor([1, 2, 3, 4], [1, 1, 1, 4]);
    expect([...(await pairwise(x, program, { layout: "half", captures: { gain } }).read())]).toEqual([2, 10, 6, 20]);
    expect(() => pairwise(x, program, { layout: "half", captures: { gain: engine.zeros([3]) } })).toThrow(/TENSOR_SHAPE.*gain/s);
  });

  it("shows NaN for a position beyond a table", async () => {
    const x = engine.tensor(numbers(16, 3), [1, 1, 2, 8]);
    const y = await pairwise(x, rotation, { layout: "half", positions: { offset: 19 } }).read();
    expect([...y].map(Number.isNaN)).toEqual(Array.from({ length: 16 }, (_, i) => i >= 8));
  });

  it("uploads a table once, and again when it changed", async () => {
    const table = capture(Float32Array.of(1, 2, 3, 4), [2, 2]);
    const tensor = captureTensor(engine, table);
    expect(captureTensor(engine, table)).toBe(tensor);
    expect(engine.scope(() => captureTensor(engine, table)).isLive).toBe(true);
    table.set([5, 6, 7, 8]);
    expect([...(await captureTensor(engine, table).read())]).toEqual([5, 6, 7, 8]);
  });

  it("refuses what it cannot do, naming it", () => {
    const x = engine.zeros([B, H, T, D]);
    expect(() => pairwise(engine.zeros([2, 3]), rotation, { layout: "half" })).toThrow(/TENSOR_SHAPE.*\[2, 3\]/s);
    expect(() => pairwise(x, rotation, { layout: "half", rotaryDim: 7 })).toThrow(/TENSOR_VALUE.*7/s);
    expect(() => pairwise(x, rotation, { layout: "half", positions: engine.zeros([T]) })).toThrow(/TENSOR_DTYPE.*f32/s);
  });
});
