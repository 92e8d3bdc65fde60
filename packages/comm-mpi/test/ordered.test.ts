import { expect, test } from "vitest";
import { fromOrdered, toOrdered } from "../src/ordered.ts";

const NUMBERS = [-Infinity, -1e30, -1.5, -1, -1e-40, -0, 0, 1e-40, 1, 1.5, 1e30, Infinity, NaN];

test.each([["f32", Float32Array, Int32Array], ["f64", Float64Array, BigInt64Array]] as const)("whole numbers of %s compare as Math.max does", (_, Floats, Wholes) => {
  const floats = Floats.from(NUMBERS);
  toOrdered(floats);
  const wholes = new Wholes(floats.buffer);
  for (let i = 1; i < wholes.length; i++) expect(wholes[i - 1]! < wholes[i]!, `${NUMBERS[i - 1]} below ${NUMBERS[i]}`).toBe(true);
  fromOrdered(floats);
  expect([...floats]).toEqual([...Floats.from(NUMBERS)]);
});

test("every NaN becomes the same one", () => {
  const bits = Uint32Array.of(0x7fc00000, 0xffc00001, 0x7f800001);
  toOrdered(new Float32Array(bits.buffer));
  expect(new Set(bits).size).toBe(1);
  const wide = Uint32Array.of(1, 0xfff80000, 0, 0x7ff80000);
  toOrdered(new Float64Array(wide.buffer));
  expect([...wide.subarray(0, 2)]).toEqual([...wide.subarray(2)]);
});

test("a view's neighbours stay", () => {
  const all = new Float32Array(4).fill(-2);
  toOrdered(all.subarray(1, 3));
  expect([all[0], all[3]]).toEqual([-2, -2]);
  fromOrdered(all.subarray(1, 3));
  expect([...all]).toEqual([-2, -2, -2, -2]);
});
