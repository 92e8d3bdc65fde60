import { openNodeGpu } from "@polyhead/gpu-node";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readTrainOptions, trainWorld } from "../train.ts";

it("the training program saves, goes on with another number of ranks, and logs every update once", async () => {
  const out = mkdtempSync(join(tmpdir(), "polyhead-ring-"));
  const lines: string[] = [];
  const run = (...args: string[]): ReturnType<typeof trainWorld> => trainWorld(readTrainOptions(["--out", out, "--save-every", "2", ...args]), { tell: (line) => { lines.push(line); }, openGpu: () => openNodeGpu({ limits: "default", features: "none" }) });
  const whole = await run("--ranks", "2", "--sequence-ranks", "2", "--steps", "3");
  expect(whole).toMatchObject({ ranks: 2, sequenceRanks: 2, from: 0, step: 3 });
  const resumed = await run("--ranks", "1", "--steps", "4", "--resume");
  expect(resumed).toMatchObject({ ranks: 1, sequenceRanks: 1, from: 3, step: 4 });
  expect(resumed!.loss).toBeLessThan(whole!.loss);
  expect(lines.filter((line) => line.startsWith("step ")).map((line) => line.split(":")[0])).toEqual(["step 1", "step 2", "step 3", "step 4"]);
});

it("the training program refuses a command line that says nothing of its folder, or what is no number", () => {
  expect(() => readTrainOptions([])).toThrow(/ARGUMENT_VALUE.*write --out FOLDER/s);
  expect(() => readTrainOptions(["--out", "x", "--ranks", "0"])).toThrow(/ARGUMENT_NUMBER.*--ranks/s);
});
