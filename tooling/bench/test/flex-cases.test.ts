import { expect, test } from "vitest";
import { withBars, type Bar, type Barred } from "../cases/flex-ratios.ts";
import { flexCase, flexGroups } from "../cases/flex.ts";
import { BLOCK } from "../cases/flex-problem.ts";
import type { Line } from "../report.ts";

const names = (options: { quick?: boolean; cases?: RegExp }): string[][] => flexGroups({ quick: false, cases: /(?:)/, ...options }).map((group) => group.map(({ name }) => name));

test("whatever a case is compared with races beside it, under a name of one case", () => {
  for (const quick of [false, true]) {
    const groups = flexGroups({ quick, cases: /(?:)/ });
    const all = groups.flat().map(({ name }) => name);
    expect(new Set(all).size).toBe(all.length);
    for (const group of groups) for (const { bars = [] } of group) for (const { of } of bars) expect(group.map(({ name }) => name)).toContain(of);
  }
});

test("--cases keeps those whose name matches and what they are compared with", () => {
  expect(names({ cases: /softcap 1024/ })).toEqual([["causal 1024", "softcap 1024"]]);
  expect(names({ cases: /window 256 8192$/ })).toEqual([["causal 8192 of one head", "window 256 8192", "build window 256 8192"]]);
  expect(names({ cases: /nothing/ })).toEqual([]);
});

test("a case of blocks accepts the states as they are, and no other", () => {
  const contest = flexCase({ name: "tiny", shape: { kind: "build", modifier: { kind: "causal" }, heads: 1, headDim: 1, size: 2 * BLOCK } }, () => []);
  expect(contest.error(Float32Array.of(1, 0, 2, 1), 0)).toBe(0);
  expect(contest.error(Float32Array.of(1, 0, 1, 1), 0)).toBeGreaterThan(contest.tolerance);
  expect(contest.error(Float32Array.of(1, 0, 2), 0)).toBeNaN();
});

test("a case of attention accepts its own answer and refuses one with an entry of another row", () => {
  const contest = flexCase({ name: "tiny", shape: { kind: "forward", modifier: { kind: "window", size: 1 }, heads: 1, headDim: 2, size: 4 } }, () => []);
  // A query that sees itself alone copies its value.
  expect(contest.error(contest.problem.v, 0)).toBeLessThan(contest.tolerance);
  expect(contest.error(contest.problem.v.with(3, contest.problem.v[5]!), 0)).toBeGreaterThan(contest.tolerance);
});

const line = (contender: string, ms: number | null, more: Partial<Line> = {}): Line => ({ bench: "flex", case: "c", contender, ms, gflops: null, maxError: 0, right: true, adapter: "gpu", role: "ours", rank: 1, leastMs: ms, firstMs: ms, ...more });
const group = (bar: Bar, mine: Line, base: Line): Barred[] => [{ listed: { name: "base" }, lines: [base] }, { listed: { name: "case", bars: [bar] }, lines: [mine] }];
const ratiosOf = (bar: Bar, mine: Line, base: Line): Line["ratios"] => withBars(group(bar, mine, base))[1]![0]!.ratios;

test("a bar is met or missed by the ratio of times, either way round", () => {
  const most: Bar = { of: "base", contender: "flash", most: 1.5 };
  expect(ratiosOf(most, line("flex", 3), line("flash", 2))).toEqual({ "time of flash, c": 1.5, bar: "at most 1.5: met" });
  expect(ratiosOf(most, line("flex", 4), line("flash", 2))).toEqual({ "time of flash, c": 2, bar: "at most 1.5: missed" });
  expect(ratiosOf({ ...most, most: "no bar" }, line("flex", 4), line("flash", 2))).toEqual({ "time of flash, c": 2 });
  const times: Bar = { of: "base", contender: "flash", times: 8 };
  expect(ratiosOf(times, line("flex", 1), line("flash", 8))).toEqual({ "times as fast as flash, c": 8, bar: "at least 8: met" });
  expect(ratiosOf(times, line("flex", 2), line("flash", 8))).toEqual({ "times as fast as flash, c": 4, bar: "at least 8: missed" });
});

test("time a block is compared by blocks that are not empty", () => {
  const blocks = (full: number, partial: number): Partial<Line> => ({ facts: { "full blocks": full, "partial blocks": partial, "blocks left out": 99 } });
  const bar: Bar = { of: "base", contender: "flex", blocks: true };
  expect(ratiosOf(bar, line("flex", 6, blocks(1, 1)), line("flex", 20, blocks(8, 2)))).toEqual({ "time a block of flex, c": 1.5 });
  expect(ratiosOf(bar, line("flex", 6), line("flex", 20, blocks(8, 2)))).toBeUndefined();
});

test("what is wrong or missing is compared with nothing, and a line not with itself", () => {
  const bar: Bar = { of: "base", contender: "flash", most: 2 };
  expect(ratiosOf(bar, line("flex", 1, { right: false }), line("flash", 2))).toBeUndefined();
  expect(ratiosOf(bar, line("flex", 1), line("flash", 2, { right: false }))).toBeUndefined();
  expect(ratiosOf(bar, line("flex", 1), line("other", 2))).toBeUndefined();
  expect(withBars([{ listed: { name: "base", bars: [bar] }, lines: [line("flash", 1)] }])[0]![0]!.ratios).toBeUndefined();
});
