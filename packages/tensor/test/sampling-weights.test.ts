import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, likeliest, markSeen, multinomial, normal, penaliseSeen, samplingWeights, type Tensor } from "../src/index.ts";
import { relativeError } from "./reference/compare.ts";
import { probabilities, type Cuts } from "./reference/sampling.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });
const NONE = 0xffffffff;
const read = async (x: Tensor): Promise<number[]> => [...(await x.read())];

/** Logits of both signs, spread as a model's are. */
const logitsOf = (size: number, seed: number): number[] => [...normal(size, { std: 3, seed, stream: 0 })];

const CUTS: readonly Cuts[] = [
  {}, { temperature: 0.3 }, { topK: 1 }, { topK: 7, temperature: 1.7 }, { topP: 0.9 }, { topP: 1e-6 }, { minP: 0.1 }, { minP: 1 },
  { topK: 12, topP: 0.8, minP: 0.05, temperature: 0.9 }, { topK: 1000000 },
];

describe("samplingWeights", () => {
  it.each([1, 5, 101, 4097])("of rows of %i are the probabilities that a sort in float64 gives", async (length) => {
    const rows = 3;
    const logits = logitsOf(rows * length, length);
    const x = engine.tensor(logits, [rows, length]);
    for (const cuts of length > 4000 ? CUTS.slice(-2) : CUTS) {
      const got = await read(samplingWeights(x, cuts));
      for (let row = 0; row < rows; row++) {
        const own = got.slice(row * length, (row + 1) * length);
        const total = own.reduce((a, b) => a + b, 0);
        const want = probabilities(logits.slice(row * length, (row + 1) * length), cuts);
        expect(own.map((w) => w > 0), JSON.stringify(cuts)).toEqual(want.map((p) => p > 0));
        expect(relativeError(own.map((w) => w / total), want), JSON.stringify(cuts)).toBeLessThan(1e-5);
      }
    }
  });

  it("keeps equal logits together, at both ends of a cut, and takes −0 for 0", async () => {
    const x = engine.tensor([0, 1, -0, 1, -2, 0], [1, 6]);
    const kept = async (cuts: Cuts): Promise<boolean[]> => (await read(samplingWeights(x, cuts))).map((w) => w > 0);
    expect(await kept({ topK: 1 })).toEqual([false, true, false, true, false, false]);
    expect(await kept({ topK: 3 })).toEqual([true, true, true, true, false, true]);
    expect(await kept({ topP: 0.7 })).toEqual([true, true, true, true, false, true]);
    expect(await kept({ topP: 0.3 })).toEqual([false, true, false, true, false, false]);
  });

  it("cuts a vocabulary of 128k exactly as one of a hundred, at any count", async () => {
    // Whole halves, few of them: sums of equal weights are checked by counting.
    const length = 128_000;
    const order = Array.from({ length }, (_, j) => (Math.imul(j, 48_271) >>> 3) % length);
    const x = engine.tensor(order.map((r) => -r / 1024), [1, length]);
    for (const topK of [1, 999, 64_001]) {
      const got = await read(samplingWeights(x, { topK, temperature: 64 }));
      const lowest = -[...order].sort((a, b) => a - b)[topK - 1]! / 1024;
      expect(got.filter((w) => w > 0).length).toBe(order.filter((r) => -r / 1024 >= lowest).length);
      expect(order.every((r, j) => got[j]! > 0 === -r / 1024 >= lowest)).toBe(true);
    }
  });

  it("leaves nothing of a row with NaN, with +∞ or of −∞ alone, and never chooses −∞", async () => {
    const x = engine.tensor([NaN, 1, 2, Infinity, 1, 2, -Infinity, -Infinity, -Infinity, -Infinity, 1, 1], [4, 3]);
    for (const cuts of [{}, { topK: 2, topP: 0.9, minP: 0.1 }]) {
      const weights = samplingWeights(x, cuts);
      expect(await read(weights)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
      expect((await read(multinomial(weights, { seed: 1, stream: 0 }))).slice(0, 3)).toEqual([NONE, NONE, NONE]);
    }
    expect(await read(likeliest(x))).toEqual([NONE, NONE, NONE, 1]);
  });

  it("stands any temperature", async () => {
    const x = engine.tensor([-3e38, 3e38, 1], [1, 3]);
    for (const temperature of [1e-300, 1e-30, 1, 1e30]) expect((await read(samplingWeights(x, { temperature })))[1]).toBe(1);
  });

  it("refuses options out of range, by name", () => {
    const x = engine.zeros([1, 3]);
    for (const [name, values] of Object.entries({ temperature: [0, -1, NaN], topK: [0, 1.5], topP: [0, 1.1, NaN], minP: [-0.1, 2] })) {
      for (const value of values) expect(() => samplingWeights(x, { [name]: value })).toThrow(`[TENSOR_VALUE] ${name} is ${value}`);
    }
  });
});

it("likeliest is the place of the largest logit, the lowest among equals", async () => {
  for (const length of [1, 3, 300, 5001]) {
    const data = logitsOf(2 * length, 5).map(Math.round);
    const want = [0, 1].map((row) => data.slice(row * length, (row + 1) * length)).map((own) => own.indexOf(Math.max(...own)));
    expect(await read(likeliest(engine.tensor(data, [2, length])))).toEqual(want);
  }
});

it("draws follow the float64 probabilities of every cut", async () => {
  const draws = 4000;
  const logits = logitsOf(12, 8);
  for (const cuts of [{}, { topK: 5 }, { topP: 0.8 }, { minP: 0.2, temperature: 2 }, { topK: 9, topP: 0.95, temperature: 1.5 }]) {
    const want = probabilities(logits, cuts);
    const weights = samplingWeights(engine.tensor(logits, [1, 12]), cuts).expand([draws, 12]);
    const counts = new Array<number>(12).fill(0);
    for (const id of await read(multinomial(weights, { seed: 3, stream: 1 }))) counts[id]!++;
    expect(counts.every((n, id) => n === 0 || want[id]! > 0)).toBe(true);
    // Pearson's statistic has a mean of `free` and a variance of 2·free; this many draws lie beyond five deviations once in a million seeds.
    const free = want.filter((p) => p > 0).length - 1;
    const statistic = want.reduce((sum, p, id) => (p > 0 ? sum + (counts[id]! - draws * p) ** 2 / (draws * p) : sum), 0);
    expect(statistic).toBeLessThan(free + 5 * Math.sqrt(2 * free));
  }
});

it("a row draws the same whatever stands beside it", async () => {
  const weights = engine.full([6, 50], 1);
  const all = await read(multinomial(weights, { seed: 2, stream: 7 }));
  for (const row of [0, 3, 5]) expect(await read(multinomial(weights.narrow(0, row, 1), { seed: 2, stream: 7, firstRow: row }))).toEqual([all[row]]);
});

describe("the repetition penalty", () => {
  it("divides positive logits of what was seen, and multiplies the others, in each row's own table", async () => {
    const seen = engine.zeros([2, 4], "u32");
    markSeen(seen, engine.tensor([0, NONE, 2, 2], [2, 2], { dtype: "u32" }));
    markSeen(seen, engine.tensor([1, 4], [2], { dtype: "u32" }));
    expect(await read(seen)).toEqual([1, 1, 0, 0, 0, 0, 1, 0]);
    const x = engine.tensor([2, -3, 4, 0, 2, -3, -4, 0], [2, 4]);
    expect(await read(penaliseSeen(x, seen, 2))).toEqual([1, -6, 4, 0, 2, -3, -8, 0]);
  });

  it("refuses tables of another shape or type", () => {
    const x = engine.zeros([2, 4]);
    expect(() => penaliseSeen(x, engine.zeros([2, 5], "u32"), 2)).toThrow(/TENSOR_SHAPE.*the same shape/s);
    expect(() => { markSeen(engine.zeros([2, 4], "i32"), engine.zeros([2], "u32")); }).toThrow(/TENSOR_DTYPE.*'u32'/s);
    expect(() => { markSeen(engine.zeros([2, 4], "u32"), engine.zeros([3], "u32")); }).toThrow(/TENSOR_SHAPE/);
  });
});
