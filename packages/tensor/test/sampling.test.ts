import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { argmax, createEngine, multinomial, pick, topK, type Tensor } from "../src/index.ts";
import { counterOf, philox, toUnit, USE } from "../src/philox.ts";
import { numbers } from "./reference/compare.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });
const read = async (x: Tensor): Promise<number[]> => [...(await x.read())];
const NONE = 0xffffffff;

describe("topK", () => {
  it.each([[1, 1, 1], [3, 63, 63], [5, 100, 7], [2, 129, 20], [2, 5001, 40]])("of [%i, %i] gives the %i that a sort gives, equal ones by lower index", async (rows, length, count) => {
    // Few distinct values, so that there are many equal ones.
    const data = numbers(rows * length, 3, 20).map(Math.round);
    const { values, indices } = topK(engine.tensor(data, [rows, length]), count);
    const order = Array.from({ length: rows }, (_, row) =>
      Array.from({ length }, (_, j) => j).sort((a, b) => data[row * length + b]! - data[row * length + a]! || a - b).slice(0, count));
    expect(await read(indices)).toEqual(order.flat());
    expect(await read(values)).toEqual(order.flatMap((js, row) => js.map((j) => data[row * length + j]!)));
  });

  it("never chooses NaN, and says where a row has nothing left", async () => {
    const x = engine.tensor([NaN, 3, -Infinity, NaN, NaN, NaN, NaN, NaN], [2, 4]);
    const { values, indices } = topK(x, 3);
    expect(await read(values)).toEqual([3, -Infinity, -Infinity, -Infinity, -Infinity, -Infinity]);
    expect(await read(indices)).toEqual([1, 2, NONE, NONE, NONE, NONE]);
    expect(await read(argmax(x))).toEqual([1, NONE]);
  });

  it("refuses more entries than a row has", () => {
    expect(() => topK(engine.zeros([2, 6]), 7)).toThrow(/TENSOR_SHAPE.*ask for 1 to 6/s);
  });
});

it("pick takes one entry a row, and none at a place past the row", async () => {
  const table = engine.tensor([5, 6, 7, 8, 9, 10], [3, 2], { dtype: "u32" });
  expect(await read(pick(table, engine.tensor([1, 0, NONE], [3], { dtype: "u32" })))).toEqual([6, 7, NONE]);
});

describe("multinomial", () => {
  it.each([1, 3, 63, 100, 129, 5001])("over %i entries inverts the cumulative sum at its Philox number", async (length) => {
    const rows = 20;
    // Whole numbers: their sums are exact in f32, in any order.
    const weights = numbers(rows * length, 7, 8).map((w) => Math.max(0, Math.round(w)));
    for (let row = 0; row < rows; row++) weights[row * length + (row % length)] = 3;
    const want = Array.from({ length: rows }, (_, row) => {
      const own = weights.subarray(row * length, (row + 1) * length);
      const threshold = Math.fround(toUnit(philox(counterOf(row, 4), [11, USE.draw])[0]) * own.reduce((a, b) => a + b, 0));
      let sum = 0;
      return own.findIndex((w) => (sum += w) > threshold);
    });
    expect(await read(multinomial(engine.tensor(weights, [rows, length]), { seed: 11, stream: 4 }))).toEqual(want);
  });

  it("draws entries as often as their weight says, and never one of weight 0", async () => {
    const counts = [0, 0, 0, 0];
    const weights = engine.tensor(Array.from({ length: 2000 }, () => [1, 0, 2, 1]).flat(), [2000, 4]);
    for (const id of await read(multinomial(weights, { seed: 1, stream: 0 }))) counts[id]!++;
    expect(counts[1]).toBe(0);
    // Four standard deviations.
    expect(Math.abs(counts[2]! - 1000)).toBeLessThan(90);
    expect(Math.abs(counts[0]! - 500)).toBeLessThan(78);
  });

  it("repeats itself for a seed and stream, and differs in another stream", async () => {
    const weights = engine.full([50, 100], 1);
    const draw = async (stream: number): Promise<number[]> => read(multinomial(weights, { seed: 2, stream }));
    expect(await draw(0)).toEqual(await draw(0));
    expect(await draw(1)).not.toEqual(await draw(0));
  });

  it("chooses nothing in a row without weight, with NaN or with infinity", async () => {
    const weights = engine.tensor([0, 0, 1, NaN, Infinity, 1, 0, 1], [4, 2]);
    expect(await read(multinomial(weights, { seed: 1, stream: 0 }))).toEqual([NONE, NONE, NONE, 1]);
  });
});
