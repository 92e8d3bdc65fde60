import { expect, test } from "vitest";
import { attentionCase, attentionGroups } from "../cases/attention.ts";
import { withRatios, type Raced } from "../cases/attention-ratios.ts";
import type { AttentionShape } from "../cases/attention-problem.ts";
import type { Role } from "../contender.ts";
import type { Line } from "../report.ts";

const names = (options: { quick?: boolean; cases?: RegExp }): string[][] =>
  attentionGroups({ quick: false, cases: /(?:)/, ...options }).map((group) => group.map(({ name }) => name));

test("cases that are compared with each other race together, and every name is one case", () => {
  const all = names({});
  expect(all[0]).toEqual(["forward full 512", "forward causal 512", "forward+backward causal 512"]);
  expect(new Set(all.flat()).size).toBe(all.flat().length);
  expect(all.flat()).toContain("memory causal 32768");
});

test("--cases keeps those whose name matches, and --quick the smallest", () => {
  expect(names({ cases: /causal 4096/ })).toEqual([["forward causal 4096"], ["memory causal 4096"]]);
  expect(names({ quick: true }).flat()).toEqual(["forward full 512", "forward causal 512", "forward+backward causal 512", "decode 8/8 1024", "memory causal 1024"]);
});

test("a case accepts its own answer and refuses one whose last row is another's", () => {
  const shape: AttentionShape = { kind: "decode", causal: false, heads: 2, kvHeads: 1, headDim: 1, queries: 1, keys: 2 };
  const contest = attentionCase({ name: "tiny", purpose: "time", shape }, () => []);
  const { q, k, v } = contest.problem;
  const answer = Float32Array.from(q, (x) => {
    const [a, b] = [Math.exp(x * k[0]!), Math.exp(x * k[1]!)];
    return (a * v[0]! + b * v[1]!) / (a + b);
  });
  expect(contest.error(answer, 0)).toBeLessThan(contest.tolerance);
  expect(contest.error(Float32Array.of(answer[0]!, answer[0]!), 0)).toBeGreaterThan(contest.tolerance);
  expect(contest.bytes).toBe(2 * 2 * 4);
});

const shape: AttentionShape = { kind: "forward", causal: true, heads: 8, kvHeads: 8, headDim: 64, queries: 512, keys: 512 };
const line = (role: Role, contender: string, ms: number | null, more: Partial<Line> = {}): Line => ({
  bench: "attention", case: "c", contender, ms, gflops: ms === null ? null : 60 / ms, maxError: 0, right: true, adapter: "gpu", role, rank: 1, leastMs: ms, firstMs: ms, ...more,
});
const ratiosOf = (raced: Raced[], at = 0): Line["ratios"] => withRatios(raced)[at]?.find(({ role }) => role === "ours")?.ratios;

test("ours is compared with the fastest of each role that is right, and with the matmul by rate", () => {
  const lines = [
    line("ours", "flash", 2),
    line("peer", "slow", 40), line("peer", "quick", 20), line("peer", "liar", 1, { right: false }), line("peer", "gone", null, { right: false }),
    line("native", "cpu", 4),
    line("yardstick", "matmul", 9, { gflops: 40 }),
  ];
  expect(ratiosOf([{ shape, lines }])).toEqual({ "of matmul": 0.75, "times best peer": 10, "best peer": "quick", "of native CPU": 0.5 });
});

test("causal is set against full, and backward against forward, of the same contender and size", () => {
  const raced: Raced[] = [
    { shape: { ...shape, causal: false }, lines: [line("ours", "flash", 4), line("ours", "unfused", 50)] },
    { shape, lines: [line("ours", "flash", 2)] },
    { shape: { ...shape, kind: "backward" }, lines: [line("ours", "flash", 9)] },
    { shape: { ...shape, queries: 1024, keys: 1024 }, lines: [line("ours", "flash", 9)] },
  ];
  expect(ratiosOf(raced, 1)).toEqual({ "of full": 0.5 });
  expect(ratiosOf(raced, 2)).toEqual({ "of forward": 4.5 });
  expect(ratiosOf(raced, 0)).toBeUndefined();
  expect(ratiosOf(raced, 3)).toBeUndefined();
});

test("decode is set against every copy", () => {
  const lines = [
    line("ours", "flash", 1, { gigabytesPerSecond: 6 }),
    line("yardstick", "copy by command", 1, { gflops: null, gigabytesPerSecond: 8 }), line("yardstick", "copy by kernel", 1, { gflops: null, gigabytesPerSecond: 10 }),
  ];
  const decode: AttentionShape = { ...shape, kind: "decode", causal: false };
  expect(ratiosOf([{ shape: decode, lines }])).toEqual({ "of copy by command": 0.75, "of copy by kernel": 0.6 });
  expect(ratiosOf([{ shape: decode, lines: lines.slice(0, 1) }])).toBeUndefined();
});

test("what is wrong is compared with nothing, and nothing with what is wrong", () => {
  const wrong = line("ours", "flash", 1, { right: false });
  expect(ratiosOf([{ shape, lines: [wrong, line("peer", "p", 2)] }])).toBeUndefined();
  expect(ratiosOf([{ shape: { ...shape, causal: false }, lines: [wrong] }, { shape, lines: [line("ours", "flash", 1)] }], 1)).toBeUndefined();
});
