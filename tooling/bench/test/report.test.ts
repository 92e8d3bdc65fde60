import { expect, test } from "vitest";
import { chosen, readArgs } from "../args.ts";
import { relativeError } from "../cases/matmul-problem.ts";
import { lossError } from "../cases/train.ts";
import type { Case } from "../contender.ts";
import type { Result } from "../race.ts";
import { linesOf, table } from "../report.ts";

const contest: Case<null> = {
  bench: "matmul", name: "512", problem: null, contenders: [], flops: 1e9, perRun: 1, warmups: 1, error: () => 0, tolerance: 1e-5, ceilingGflops: 100,
};
const results: Result[] = [
  { contender: "good", role: "ours", verdict: "right", ms: 10, leastMs: 9, firstMs: 50, maxError: 1e-7, facts: { dispatches: 120 } },
  { contender: "liar", role: "peer", verdict: "wrong", ms: 1, leastMs: 1, firstMs: 5, maxError: NaN, reason: "error NaN, where 1e-5 is allowed" },
  { contender: "gone", role: "peer", verdict: "failed", reason: "no backend" },
];

test("a JSON line holds what was measured, null for what has no number, and says who is right", () => {
  const [good, liar, gone] = linesOf(contest, results, "some gpu").map((line) => JSON.parse(JSON.stringify(line)) as object);
  expect(good).toMatchObject({ bench: "matmul", case: "512", contender: "good", ms: 10, gflops: 100, maxError: 1e-7, right: true, adapter: "some gpu", rank: 1, ceilingGflops: 100 });
  expect(liar).toMatchObject({ contender: "liar", ms: 1, maxError: null, right: false, rank: null });
  expect(gone).toMatchObject({ contender: "gone", ms: null, gflops: null, right: false, rank: null, reason: "no backend" });
});

test("steps a second are those of the training bench alone", () => {
  const rate = (bench: string) => linesOf({ ...contest, bench }, results, "gpu")[0]?.stepsPerSecond;
  expect(rate("train")).toBe(100);
  expect(rate("matmul")).toBeUndefined();
});

test("the table names the adapter, ranks the right, calls the wrong wrong and gives the reason of a failure", () => {
  const [head, good, liar, gone, facts] = table(linesOf(contest, results, "some gpu")).split("\n");
  expect(head).toBe("matmul 512 on some gpu, FMA ceiling 100.0 GFLOP/s");
  expect(good).toMatch(/^ 1 {2}good .* ×1\.00 .*100\.00 GFLOP\/s/);
  expect(liar).toMatch(/^ - {2}liar .* - .*error NaN {2}WRONG: error NaN/);
  expect(gone).toMatch(/^ - {2}gone .*failed: no backend$/);
  expect(facts).toBe("    good: dispatches 120");
});

test("a case of bytes is given in GB/s, and a yardstick in its own work, without a rank", () => {
  const copy: Result = { contender: "copy", role: "yardstick", verdict: "right", ms: 2, leastMs: 2, firstMs: 2, maxError: 0, flops: 0, bytes: 8e6 };
  const [good, , , last] = linesOf({ ...contest, bytes: 1e8 }, [...results, copy], "gpu");
  expect(good).toMatchObject({ gflops: 100, gigabytesPerSecond: 10, rank: 1 });
  expect(last).toMatchObject({ gflops: null, gigabytesPerSecond: 4, rank: null, role: "yardstick", right: true });
  expect(table([last!])).toMatch(/^ - {2}copy .* {7}- .* 4\.00 GB\/s {2}error 0\.0e\+0$/m);
});

test("a table of peers that were made to wait as we do says so", () => {
  const [good] = linesOf(contest, results, "gpu");
  expect(table([{ ...good!, waitAlike: true }])).toMatch(/^matmul 512 on gpu, .*, all waiting alike$/m);
  expect(table([good!])).not.toContain("alike");
});

test("the table says what our lines amount to beside the others", () => {
  const [good] = linesOf(contest, results, "gpu");
  expect(table([{ ...good!, ratios: { "times best peer": 8.25, "best peer": "tfjs" } }])).toContain("    good: times best peer 8.25, best peer tfjs");
});

test("a product's error is relative to its largest entry, and NaN or a missing entry is never right", () => {
  const want = Float64Array.of(1, -10);
  expect(relativeError(Float32Array.of(1.5, -10), want)).toBeCloseTo(0.05, 12);
  expect(relativeError(Float32Array.of(NaN, -10), want)).toBeNaN();
  expect(relativeError(Float32Array.of(1), want)).toBeNaN();
});

test("a loss is compared with the reference as far as it goes, and must be finite after", () => {
  expect(lossError(Float32Array.of(2.5), 2)).toBe(0.5);
  expect(lossError(Float32Array.of(2.5), undefined)).toBe(0);
  expect(lossError(Float32Array.of(Infinity), undefined)).toBeNaN();
  expect(lossError(new Float32Array(0), 2)).toBeNaN();
});

test("an unknown bench and a bad count are refused by name", () => {
  expect(() => readArgs(["matmull"])).toThrow("unknown bench 'matmull'; there are: matmul, train, attention");
  expect(() => readArgs(["--reps", "0"])).toThrow("--reps wants a whole number from 1, got '0'");
  expect(() => readArgs(["--cases", "("])).toThrow("--cases wants a regular expression, got '('");
  expect(readArgs(["train", "--kernel", "flash,reference"]).kernels).toEqual(["flash", "reference"]);
  expect(() => readArgs(["--kernel", "flesh"])).toThrow("unknown kernel 'flesh'; there are: flash, reference");
  expect(readArgs(["train", "--replay", "on,off"]).replay).toEqual([true, false]);
  expect(() => readArgs(["--replay", "yes"])).toThrow("--replay wants on, off or on,off; got 'yes'");
  expect(readArgs(["train", "--quick", "--only", "a,b"])).toMatchObject({ benches: ["train"], reps: 3, only: ["a", "b"] });
});

test("--only keeps the contenders whose name contains a part, and none means all", () => {
  const names = [{ name: "tfjs webgpu" }, { name: "jax-js wasm" }];
  expect(chosen(names, ["jax"])).toEqual([{ name: "jax-js wasm" }]);
  expect(chosen(names, [])).toEqual(names);
});
