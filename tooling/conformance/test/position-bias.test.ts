import { readSafetensors, writeSafetensors } from "@polyhead/core/safetensors";
import { compare } from "@polyhead/testkit";
import { expect, test } from "vitest";
import { biasTables, type BiasTable } from "../position-bias/tables.ts";

/** The tables of a file with these numbers; relative positions −2 to 2 come along. */
function tablesOf(stored: Readonly<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>>): BiasTable[] {
  const relative = { dtype: "I64", shape: [5], data: [-2, -1, 0, 1, 2] } as const;
  const named = Object.entries(stored).map(([name, one]) => [name, { dtype: "F64", ...one }] as const);
  return biasTables(readSafetensors(writeSafetensors({ ...Object.fromEntries(named), "t5_bucket.rel": relative })));
}

const passes = ({ known: { got, want, rule } }: BiasTable): boolean => compare(got, want, rule).pass;

// Three heads: the slopes of two, and the first of the double.
const slopes = [2 ** -4, 2 ** -8, 2 ** -2];

test("slopes, MPT's rows and buckets pass as they are, and fail with one number off", () => {
  const tables = {
    "alibi_slopes.3": { shape: [3], data: slopes },
    "mpt_alibi.3": { shape: [3, 2], data: slopes.flatMap((slope) => [-slope, 0]) },
    "t5_bucket.causal.8.16": { shape: [5], data: [2, 1, 0, 0, 0] },
    "t5_bucket.bidir.8.16": { shape: [5], data: [2, 1, 0, 5, 6] },
  };
  expect(tablesOf(tables).map(passes)).toEqual([true, true, true, true]);
  for (const [name, { shape, data }] of Object.entries(tables)) {
    expect(tablesOf({ [name]: { shape, data: data.with(0, data[0]! * (1 + 1e-6) + (name.startsWith("t5") ? 1 : 0)) } }).map(passes), name).toEqual([false]);
  }
});

test("what a hook is to add is read from the table, by head, query and key", () => {
  const [alibi] = tablesOf({ "alibi_slopes.3": { shape: [3], data: slopes } });
  const { places: { heads, queries, keys }, bias } = alibi!;
  expect(bias).toHaveLength(heads * queries.length * keys.length);
  expect(bias[(1 * queries.length + 1) * keys.length + 7]).toBe(slopes[1]! * (keys[7]! - queries[1]!));
  const [t5] = tablesOf({ "t5_bucket.bidir.8.16": { shape: [5], data: [2, 1, 0, 5, 6] } });
  expect([...t5!.bias]).toEqual([0, 1].flatMap((h) => [2, 1, 0, 5, 6].map((bucket) => t5!.params["table"]![bucket * 2 + h])));
});

test("a table of another kind is refused by name", () => {
  expect(() => tablesOf({ "kerple.3": { shape: [3], data: slopes } })).toThrow("table kerple.3");
});
