import { expect, test } from "vitest";
import { coveringRows } from "../src/index.ts";

const axes = { mask: ["full", "causal", "window"], heads: ["8/8", "6/2"], size: ["8", "40", "64", "128"], dtype: ["f32", "f16"], hook: ["none", "cap", "alibi"] } as const;

const meet = (rows: readonly Readonly<Record<string, string>>[], a: string, x: string, b: string, y: string): boolean => rows.some((row) => row[a] === x && row[b] === y);

test("every two values of two axes meet in a row, in far fewer rows than the product", () => {
  const rows = coveringRows(axes, { seed: 1 });
  const list = Object.entries(axes);
  for (const [i, [a, xs]] of list.entries()) for (const [b, ys] of list.slice(i + 1)) for (const x of xs) for (const y of ys) expect(meet(rows, a, x, b, y), `${a} ${x}, ${b} ${y}`).toBe(true);
  // 4 · 3 is the least that two of the axes need; the product has 144 rows.
  expect(rows.length).toBeGreaterThanOrEqual(12);
  expect(rows.length).toBeLessThanOrEqual(18);
});

test("a seed gives the same rows again, another seed others", () => {
  expect(coveringRows(axes, { seed: 7 })).toEqual(coveringRows(axes, { seed: 7 }));
  expect(coveringRows(axes, { seed: 7 })).not.toEqual(coveringRows(axes, { seed: 8 }));
});

test("where both would do, the cheap row is taken", () => {
  const cost = (row: { readonly size: string }): number => (row.size === "128" ? 5 : 0);
  const dear = (rows: readonly { readonly size: string }[]): number => rows.filter(({ size }) => size === "128").length;
  expect(dear(coveringRows(axes, { seed: 1, cost }))).toBeLessThanOrEqual(dear(coveringRows(axes, { seed: 1 })));
  expect(dear(coveringRows(axes, { seed: 1, cost }))).toBeGreaterThanOrEqual(3);
});

test("asked to meet nobody, every value occurs once, in no more rows than the longest axis has values", () => {
  const rows = coveringRows(axes, { seed: 1, together: 1 });
  for (const [name, values] of Object.entries(axes)) for (const value of values) expect(rows.some((row) => (row as Record<string, string>)[name] === value), `${name} ${value}`).toBe(true);
  expect(rows).toHaveLength(4);
});
