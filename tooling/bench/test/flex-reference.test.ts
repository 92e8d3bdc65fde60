import { expect, test } from "vitest";
import { attentionProblem } from "../cases/attention-problem.ts";
import { gradientRows, outputRows, type Row } from "../cases/attention-reference.ts";
import { BLOCK, documentIds, documentLengths, firstKey, flexFlops, flexProblem, type FlexProblem, type FlexShape, type Modifier } from "../cases/flex-problem.ts";
import { blockStates, flexGradientRows, flexOutputRows } from "../cases/flex-reference.ts";

const shape = (modifier: Modifier, more: Partial<FlexShape> = {}): FlexShape => ({ kind: "backward", modifier, heads: 2, headDim: 3, size: 6, ...more });
const valuesOf = (rows: readonly Row[]): number[] => rows.flatMap(({ want }) => [...want]);

const MODIFIERS: readonly Modifier[] = [
  { kind: "causal" }, { kind: "alibi" }, { kind: "softcap", cap: 2 }, { kind: "window", size: 3 }, { kind: "documents", lengths: [2, 1, 3] }, { kind: "relative", reach: 2 },
];

test("causal is what the attention bench's own reference computes", () => {
  const flex = flexProblem(shape({ kind: "causal" }));
  const plain = attentionProblem({ kind: "backward", causal: true, heads: 2, kvHeads: 2, headDim: 3, queries: 6, keys: 6 });
  expect(flex.q).toEqual(plain.q);
  expect(valuesOf(flexOutputRows(flex))).toEqual(valuesOf(outputRows(plain)));
  expect(valuesOf(flexGradientRows(flex))).toEqual(valuesOf(gradientRows(plain)));
});

test.each(MODIFIERS.map((modifier) => [modifier.kind, modifier] as const))("gradients under %s are the slopes of grad·o, those of a learned table too", (_, modifier) => {
  const problem = flexProblem(shape(modifier));
  const gradients = valuesOf(flexGradientRows(problem));
  const loss = (of: FlexProblem): number => valuesOf(flexOutputRows(of)).reduce((sum, value, i) => sum + value * problem.grad[i]!, 0);
  let at = 0;
  for (const name of ["q", "k", "v", "table"] as const) {
    for (let i = 0; i < problem[name].length; i++, at++) {
      const shifted = (by: number): FlexProblem => ({ ...problem, [name]: problem[name].map((x, j) => (j === i ? x + by : x)) });
      // Powers of two, so that the shift is exact in f32.
      const slope = (loss(shifted(2 ** -10)) - loss(shifted(-(2 ** -10)))) / 2 ** -9;
      expect(Math.abs(gradients[at]! - slope), `d${name}[${String(i)}]`).toBeLessThan(2e-5);
    }
  }
  expect(at).toBe(gradients.length);
});

test("modifiers change the output, each in its own way", () => {
  const outputs = MODIFIERS.map((modifier) => valuesOf(flexOutputRows(flexProblem(shape(modifier)))).join());
  expect(new Set(outputs).size).toBe(MODIFIERS.length);
});

test("ALiBi halves its slope from head to head, down to 2⁻⁸", () => {
  const problem = { ...flexProblem(shape({ kind: "alibi" }, { heads: 8, headDim: 1, size: 2 })), q: new Float32Array(16), v: Float32Array.from({ length: 16 }, (_, i) => i % 2) };
  // With scores of 0, the second query's odds of itself to the first key are e^slope.
  const odds = flexOutputRows(problem, [1]).map(({ want }) => Math.log(want[0]! / (1 - want[0]!)));
  odds.forEach((slope, h) => { expect(slope).toBeCloseTo(2 ** -(h + 1), 12); });
});

test("a query of a document sees from its start on, one of a window so many keys", () => {
  expect(Array.from({ length: 6 }, (_, i) => firstKey({ kind: "documents", lengths: [2, 1, 3] })(i))).toEqual([0, 0, 2, 3, 3, 3]);
  expect(Array.from({ length: 6 }, (_, i) => firstKey({ kind: "window", size: 3 })(i))).toEqual([0, 0, 0, 1, 2, 3]);
  expect([...documentIds([2, 1, 3])]).toEqual([0, 0, 1, 2, 2, 2]);
});

test("documents fill the row, and none is empty", () => {
  for (const count of [1, 4, 64]) {
    const lengths = documentLengths(8192, count);
    expect(lengths).toHaveLength(count);
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(8192);
    expect(Math.min(...lengths)).toBeGreaterThan(0);
  }
});

test("operations count the cells that are seen", () => {
  const forward = { kind: "forward", heads: 1, headDim: 1, size: 6 } as const;
  expect(flexFlops({ ...forward, modifier: { kind: "causal" } })).toBe(4 * 21);
  expect(flexFlops({ ...forward, modifier: { kind: "window", size: 2 } })).toBe(4 * 11);
  expect(flexFlops({ ...forward, modifier: { kind: "documents", lengths: [3, 3] }, kind: "backward" })).toBe(14 * 12);
});

test("a block is full, partial or empty by its cells", () => {
  const states = (modifier: Modifier): number[] => [...blockStates(flexProblem({ kind: "build", modifier, heads: 1, headDim: 1, size: 3 * BLOCK }))];
  expect(states({ kind: "causal" })).toEqual([1, 0, 0, 2, 1, 0, 2, 2, 1]);
  expect(states({ kind: "window", size: 2 })).toEqual([1, 0, 0, 1, 1, 0, 0, 1, 1]);
  expect(states({ kind: "documents", lengths: [BLOCK, 2 * BLOCK] })).toEqual([1, 0, 0, 0, 1, 0, 0, 2, 1]);
});
