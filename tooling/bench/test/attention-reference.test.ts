import { expect, test } from "vitest";
import { attentionFlops, attentionProblem, headsFirst, rowsFirst, type AttentionProblem, type AttentionShape } from "../cases/attention-problem.ts";
import { gradientRows, outputRows, rowsError, sampledRows, type Row } from "../cases/attention-reference.ts";

const small: AttentionShape = { kind: "backward", causal: true, heads: 4, kvHeads: 2, headDim: 3, queries: 5, keys: 5 };
const valuesOf = (rows: readonly Row[]): number[] => rows.flatMap(({ want }) => [...want]);

test("keys that are all alike share their values evenly", () => {
  const problem = { ...attentionProblem({ ...small, kind: "forward", causal: false }), k: new Float32Array(2 * 5 * 3).fill(0.5) };
  const [first] = outputRows(problem, [0]);
  const mean = [0, 1, 2].map((c) => [0, 1, 2, 3, 4].reduce((sum, j) => sum + problem.v[j * 3 + c]! / 5, 0));
  first!.want.forEach((value, c) => { expect(value).toBeCloseTo(mean[c]!, 12); });
});

test("under a causal mask the first query copies the first value of its head's group, and no row sees later keys", () => {
  const problem = attentionProblem({ ...small, kind: "forward" });
  const firsts = outputRows(problem, [0]);
  expect(firsts.map(({ at }) => at)).toEqual([0, 15, 30, 45]);
  expect(firsts.map(({ want }) => Math.fround(want[0]!))).toEqual([0, 0, 15, 15].map((at) => problem.v[at]));
  const later = { ...problem, k: problem.k.map((x, i) => (Math.floor(i / 3) % 5 > 2 ? -x : x)) };
  expect(valuesOf(outputRows(later, [2]))).toEqual(valuesOf(outputRows(problem, [2])));
  expect(valuesOf(outputRows(later, [3]))).not.toEqual(valuesOf(outputRows(problem, [3])));
});

test("the reference's gradients are the slopes of grad·o, with the sum over the heads of a group", () => {
  const problem = attentionProblem(small);
  const gradients = valuesOf(gradientRows(problem));
  const loss = (of: AttentionProblem): number => valuesOf(outputRows(of)).reduce((sum, value, i) => sum + value * problem.grad[i]!, 0);
  let at = 0;
  for (const name of ["q", "k", "v"] as const) {
    for (let i = 0; i < problem[name].length; i++, at++) {
      const shifted = (by: number): AttentionProblem => ({ ...problem, [name]: problem[name].map((x, j) => (j === i ? x + by : x)) });
      // Powers of two, so that the shift is exact in f32.
      const slope = (loss(shifted(2 ** -10)) - loss(shifted(-(2 ** -10)))) / 2 ** -9;
      expect(Math.abs(gradients[at]! - slope), `d${name}[${String(i)}]`).toBeLessThan(2e-5);
    }
  }
  expect(at).toBe(gradients.length);
});

test("all rows are checked where they are few, else the first, the last and others", () => {
  expect(sampledRows(100)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  const many = sampledRows(4096);
  expect(many).toHaveLength(32);
  expect(new Set(many).size).toBe(32);
  expect([many[0], many.at(-1)]).toEqual([0, 4095]);
});

test("an error is relative to its row, so that a wrong row of small numbers is found beside large ones", () => {
  const rows: Row[] = [{ at: 0, want: Float64Array.of(100, 0) }, { at: 2, want: Float64Array.of(2, 1) }, { at: 4, want: Float64Array.of(0, 0) }];
  expect(rowsError(Float32Array.of(100, 0, 2, 1, 0, 0), rows, 6)).toBe(0);
  expect(rowsError(Float32Array.of(100, 0, 2, 1.5, 0, 0), rows, 6)).toBe(0.25);
  expect(rowsError(Float32Array.of(100, 0, 2, 1, 0, 0.5), rows, 6)).toBe(0.5);
  expect(rowsError(Float32Array.of(100, 0, 2, NaN, 0, 0), rows, 6)).toBeNaN();
  expect(rowsError(Float32Array.of(100, 0, 2, 1, 0), rows, 6)).toBeNaN();
});

test("heads first and rows first are each other's inverse", () => {
  const x = Float32Array.from({ length: 2 * 3 * 4 }, (_, i) => i);
  const rows = rowsFirst(x, 2, 4);
  expect([...rows.subarray(0, 8)]).toEqual([0, 1, 2, 3, 12, 13, 14, 15]);
  expect(headsFirst(rows, 2, 4)).toEqual(x);
});

test("operations: two products forward, seven with the backward pass, half of them under a causal mask", () => {
  const full: AttentionShape = { kind: "forward", causal: false, heads: 8, kvHeads: 2, headDim: 64, queries: 512, keys: 512 };
  expect(attentionFlops(full)).toBe(4 * 8 * 512 * 512 * 64);
  expect(attentionFlops({ ...full, causal: true })).toBe(2 * 8 * 512 * 512 * 64);
  expect(attentionFlops({ ...full, causal: true, kind: "backward" })).toBe(7 * 8 * 512 * 512 * 64);
});
