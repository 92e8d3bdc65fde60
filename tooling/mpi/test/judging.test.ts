import { expect, test } from "vitest";
import { failureOf, type Fault } from "../faults.ts";
import { lastLine, lawsIn } from "../programs.ts";
import { run } from "../run.ts";

const kill: Fault = { name: "kill", what: "", says: [/it was rank 1/], limitMs: 0 };
const said = [0, 2, 3].map((rank) => `polyhead: [COMM_LOST] rank ${rank}: it was rank 1`);
const output = (lines: readonly string[]): string => ["rank 1: kill at 1000", ...lines].join("\n");

test("a fault is judged by exit code, by every rank's error, by what is said, and by time", () => {
  expect(failureOf(kill, 9, output(said), 3000)).toBe("");
  expect(failureOf(kill, 0, output(said), 3000)).toMatch(/exit code is 0/);
  expect(failureOf(kill, 9, output(said.slice(1)), 3000)).toBe("no typed error from rank 0");
  expect(failureOf(kill, 9, output(said.map((line) => line.replace("1", "?"))), 3000)).toMatch(/nothing matches/);
  expect(failureOf(kill, 9, output(said), 11_001)).toBe("it took 10001 ms");
  expect(failureOf(kill, 9, said.join("\n"), 3000)).toBe("rank 1 never came to its fault");
});

test("laws are read from the lines that tell them", () => {
  expect(lawsIn("noise\nok order\nnot ok sums: rank 1: 3: not 4\nnot ok silence\nlaws: 3 ran\n")).toEqual([
    { case: "order", failure: "" },
    { case: "sums", failure: "rank 1: 3: not 4" },
    { case: "silence", failure: "no reason given" },
  ]);
});

test("the last line is the last that says something", () => {
  expect(lastLine("one\ntwo \n\n")).toBe("two");
  expect(lastLine("")).toBe("");
});

test("a command that does not end is killed, with what it started", async () => {
  const { code, output: text } = await run(["/bin/sh", "-c", "echo begun; sleep 30 & wait"], { seconds: 0.5 });
  expect(text).toBe("begun\n");
  expect(code).toBe(124);
});

test("a command that is not there fails", async () => {
  expect((await run(["polyhead-no-such-command"], { seconds: 5 })).code).toBe(127);
});
