#!/usr/bin/env node
// Counts what really ran, for .ci/run: vitest's JSON report, and the JSON Lines of the conformance suite and of .ci/mpi.
// No dependencies.
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";

const text = (file) => (existsSync(file) ? readFileSync(file, "utf8") : "");
const lines = (source) => source.split("\n").map((line) => line.trim()).filter((line) => line !== "");

/** The checked-in list: `set pattern` a line, # for remarks. */
export function readRequired(source) {
  return lines(source).filter((line) => !line.startsWith("#")).map((line) => {
    const [set, pattern] = line.split(/\s+/);
    const escaped = pattern.split("*").map((piece) => piece.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
    return { set, pattern, matches: (record) => record.set === set && new RegExp(`^${escaped.join(".*")}$`).test(record.case) };
  });
}

/** Judges conformance records by the list; a line of the list that no record answers is a failure of its own. */
export function judge(required, jsonl) {
  const records = lines(jsonl).filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const wanted = records.filter((record) => required.some((rule) => rule.matches(record)));
  const failures = [
    ...wanted.filter((record) => record.pass !== true).map((record) => `${record.set} ${record.case}: ${record.reason ?? `error ${record.maxError}`}`),
    ...required.filter((rule) => !records.some(rule.matches)).map((rule) => `${rule.set} ${rule.pattern}: no such case was run`),
  ];
  return { passed: wanted.filter((record) => record.pass === true).length, failures, beyond: records.length - wanted.length };
}

/** Tests that ran, by vitest's JSON report. A file that could not be loaded ran no test and is one failure. */
export function countTests(json) {
  if (json === "") return { passed: 0, failed: 0 };
  const report = JSON.parse(json);
  const unloaded = report.testResults.filter((file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"));
  return { passed: report.numPassedTests, failed: report.numFailedTests + unloaded.length };
}

/** Cases that ran under an MPI. */
export function countCases(jsonl) {
  const records = lines(jsonl).map((line) => JSON.parse(line));
  const passed = records.filter((record) => record.pass === true).length;
  return { passed, failed: records.length - passed };
}

/** Parts of the run that failed although no test or case says so count one each. `counts` are by the part's name. */
export function total(counts, failedParts) {
  const silent = failedParts.filter((part) => !(counts[part]?.failed > 0)).length;
  const sum = (key) => Object.values(counts).reduce((all, count) => all + count[key], 0);
  return { passed: sum("passed"), failed: sum("failed") + silent };
}

const commands = {
  "required-sets": (list) => {
    console.log([...new Set(readRequired(text(list)).map((rule) => rule.set))].join(","));
    return 0;
  },
  conformance: (list, jsonl) => {
    const { passed, failures, beyond } = judge(readRequired(text(list)), text(jsonl));
    for (const failure of failures) console.log(`  ${failure}`);
    console.log(`conformance: ${passed} required cases passed, ${failures.length} failed; ${beyond} cases are not required yet`);
    return failures.length === 0 ? 0 : 1;
  },
  total: (testsFile, jsonl, list, mpi, ...failedParts) => {
    const judged = existsSync(jsonl) ? judge(readRequired(text(list)), text(jsonl)) : { passed: 0, failures: [] };
    const conformance = { passed: judged.passed, failed: judged.failures.length };
    const { passed, failed } = total({ test: countTests(text(testsFile)), conformance, mpi: countCases(text(mpi)) }, failedParts);
    console.log(`${passed} passed, ${failed} failed`);
    return failed === 0 && passed > 0 ? 0 : 1;
  },
};

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [command = "", ...args] = process.argv.slice(2);
  process.exitCode = commands[command]?.(...args) ?? 2;
}
