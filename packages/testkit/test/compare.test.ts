import { expect, test } from "vitest";
import { assertClose, compare, EXACT, FORWARD, ONNX, ONNX_F16, unravel, type Rule } from "../src/index.ts";

const each: Rule = { kind: "each", absolute: 0.5, relative: 0.25 };

test("number by number, the limit itself passes and anything beyond it does not", () => {
  expect(compare([5.5], [4], each).pass).toBe(true);
  expect(compare([5.5000001], [4], each).pass).toBe(false);
  expect(compare([2.5], [4], each)).toMatchObject({ pass: true, maxRatio: 1, maxError: 1.5 });
});

test("relative to the whole, a small entry may err by what the largest allows", () => {
  expect(compare([1000, 0.009], [1000, 0], FORWARD).pass).toBe(true);
  expect(compare([1000, 0.011], [1000, 0], FORWARD).pass).toBe(false);
  // An all-zero tensor allows nothing.
  expect(compare([1e-30], [0], FORWARD).pass).toBe(false);
});

test("the rules of ONNX are absolute plus relative", () => {
  expect(compare([1.001, 1e-7], [1, 0], ONNX).pass).toBe(true);
  expect(compare([1.0011], [1], ONNX).pass).toBe(false);
  expect(compare([2e-7], [0], ONNX).pass).toBe(false);
  expect(compare([1.0039], [1], ONNX_F16).pass).toBe(true);
  expect(compare([1.0041], [1], ONNX_F16).pass).toBe(false);
});

test.each([FORWARD, ONNX, EXACT])("infinities and NaN agree with themselves alone, by $kind", (rule) => {
  expect(compare([Infinity, -Infinity, NaN, 1], [Infinity, -Infinity, NaN, 1], rule).pass).toBe(true);
  for (const [got, want] of [[NaN, 1], [1, NaN], [Infinity, 1], [1, Infinity], [Infinity, -Infinity], [NaN, Infinity]] as const) {
    expect(compare([got, 1], [want, 1], rule), `${got} for ${want}`).toMatchObject({ pass: false, maxError: Infinity, failures: 1, worst: { index: 0 } });
  }
});

test("the worst entry is the one furthest beyond its own limit, not the one with the largest error", () => {
  expect(compare([1100, 2], [1000, 1], { kind: "each", absolute: 0, relative: 0.1 })).toMatchObject({ failures: 1, maxError: 100, worst: { index: 1, got: 2, want: 1 } });
});

test("a mismatch says which entry, by its place in the shape", () => {
  expect(unravel(5, [2, 3])).toEqual([1, 2]);
  const check = () => assertClose([0, 1, 2, 3, 4, 7], [0, 1, 2, 3, 4, 5], { shape: [2, 3], label: "y" });
  expect(check).toThrow(/\[COMPARE_MISMATCH\] y: 1 of 6 differ, worst at \[1, 2\]: got 7, want 5 \(off by 2\.00, allowed 0\.0000500\)/);
});

test("different lengths are never compared", () => {
  expect(() => compare([1], [1, 2], EXACT)).toThrow("[COMPARE_LENGTH] got 1 numbers, want 2");
});
