import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const tally = fileURLToPath(new URL("../../../.ci/tally.mjs", import.meta.url));
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "polyhead-tally-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const run = (...args: string[]): { lines: string[]; code: number | null } => {
  const { stdout, status } = spawnSync(process.execPath, [tally, ...args], { encoding: "utf8" });
  return { lines: stdout.trim().split("\n"), code: status };
};

const list = (): string => file("required.txt", "# remark\n\nonnx-ops attention_*\nonnx-ops swish\ntrain-nanogpt *\n");
const record = (set: string, name: string, pass: boolean): string => JSON.stringify({ set, case: name, kernel: "reference", maxError: 1, pass, reason: pass ? undefined : "too far" });
const cases = (...records: string[]): string => file("cases.jsonl", `> a line of npm\n${records.join("\n")}\n`);
const noMpi = (): string => join(folder, "no-mpi.jsonl");
const GOOD = [record("onnx-ops", "attention_3d", true), record("onnx-ops", "swish", true), record("train-nanogpt", "loss", true)];
const report = (passed: number, failed: number, files: object[] = []): string =>
  file("tests.json", JSON.stringify({ numPassedTests: passed, numFailedTests: failed, numPendingTests: 99, testResults: files }));

test("the sets to run are those of the list", () => {
  expect(run("required-sets", list())).toEqual({ lines: ["onnx-ops,train-nanogpt"], code: 0 });
});

test("a required case that fails fails the run, one beyond the list does not", () => {
  expect(run("conformance", list(), cases(...GOOD, record("onnx-ops", "linear_attention_gated", false), record("onnx-ops", "swish_like", false)))).toEqual({
    lines: ["conformance: 3 required cases passed, 0 failed; 2 cases are not required yet"], code: 0,
  });
  const { lines, code } = run("conformance", list(), cases(...GOOD, record("onnx-ops", "attention_4d", false)));
  expect({ lines, code }).toEqual({ lines: ["onnx-ops attention_4d: too far", "conformance: 3 required cases passed, 1 failed; 0 cases are not required yet"], code: 1 });
});

test("a line of the list that no case answers fails the run", () => {
  const { lines, code } = run("conformance", list(), cases(GOOD[0]!, GOOD[1]!));
  expect(lines[0]).toBe("train-nanogpt *: no such case was run");
  expect(code).toBe(1);
});

test("tests and cases that ran are added up, skipped ones are not", () => {
  expect(run("total", report(40, 0), cases(...GOOD), list(), noMpi())).toEqual({ lines: ["43 passed, 0 failed"], code: 0 });
  expect(run("total", report(40, 0), join(folder, "none.jsonl"), list(), noMpi())).toEqual({ lines: ["40 passed, 0 failed"], code: 0 });
});

test("a failing part counts once, whether its tests say so or not", () => {
  expect(run("total", report(40, 2), cases(...GOOD), list(), noMpi(), "test", "lint")).toEqual({ lines: ["43 passed, 3 failed"], code: 1 });
  expect(run("total", report(40, 0), cases(...GOOD), list(), noMpi(), "test")).toEqual({ lines: ["43 passed, 1 failed"], code: 1 });
});

test("cases under an MPI are added up, and a failing one is counted once", () => {
  const mpi = (...passes: boolean[]): string => file("mpi.jsonl", passes.map((pass, i) => `${JSON.stringify({ mpi: "mpich", case: `${i}`, pass })}\n`).join(""));
  expect(run("total", report(40, 0), join(folder, "none.jsonl"), list(), mpi(true, true))).toEqual({ lines: ["42 passed, 0 failed"], code: 0 });
  expect(run("total", report(40, 0), join(folder, "none.jsonl"), list(), mpi(true, false), "mpi")).toEqual({ lines: ["41 passed, 1 failed"], code: 1 });
  expect(run("total", report(40, 0), join(folder, "none.jsonl"), list(), noMpi(), "mpi")).toEqual({ lines: ["40 passed, 1 failed"], code: 1 });
});

test("a test file that could not be loaded is a failure", () => {
  const unloaded = report(40, 0, [{ status: "failed", assertionResults: [] }, { status: "passed", assertionResults: [{ status: "passed" }] }]);
  expect(run("total", unloaded, cases(...GOOD), list(), noMpi(), "test")).toEqual({ lines: ["43 passed, 1 failed"], code: 1 });
});

test("a run in which nothing ran is no success", () => {
  expect(run("total", join(folder, "none.json"), join(folder, "none.jsonl"), list(), noMpi())).toEqual({ lines: ["0 passed, 0 failed"], code: 1 });
});
