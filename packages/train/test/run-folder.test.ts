import { appendFileSync, chmodSync, existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { openRunFolder } from "../src/node/index.ts";

const fresh = (): string => mkdtempSync(join(tmpdir(), "polyhead-run-"));
const step = (n: number) => ({ kind: "step", step: n, loss: 1, rate: 1, gradNorm: 1, tokensPerSecond: 1 }) as const;

it("a file is replaced as a whole, and leaves no temporary one", async () => {
  const folder = await openRunFolder(join(fresh(), "a", "b"));
  await folder.write("x.txt", "one");
  await folder.write("x.txt", "two");
  expect(readdirSync(folder.path)).toEqual(["x.txt"]);
  expect(await folder.loadCheckpoint()).toBeUndefined();
});

it("a folder that cannot be written says so, with its path and what to do", async () => {
  const file = join(fresh(), "file");
  writeFileSync(file, "");
  await expect(openRunFolder(join(file, "run"))).rejects.toThrow(/RUN_FOLDER.*file.*fix: choose a folder you may write to/s);
  chmodSync(file, 0o600);
});

it("a log line that a crash cut short is left out, and rewinding drops what came later", async () => {
  const folder = await openRunFolder(fresh());
  await folder.log([step(1), step(2), step(3)]);
  appendFileSync(join(folder.path, "log.jsonl"), '{"kind":"step","st');
  expect((await folder.readLog()).map((r) => r.step)).toEqual([1, 2, 3]);
  await folder.rewindLog(2);
  expect((await folder.readLog()).map((r) => r.step)).toEqual([1, 2]);
});

it("a checkpoint that is cut short is named by its file", async () => {
  const folder = await openRunFolder(fresh());
  await folder.saveCheckpoint(Uint8Array.of(1, 2, 3));
  await expect(folder.loadCheckpoint()).rejects.toThrow(/SAFETENSORS_TRUNCATED.*checkpoint\.safetensors/s);
});

it("of a rank that leaves it to another reads what is there, and writes nothing", async () => {
  const path = join(fresh(), "run");
  const reader = await openRunFolder(path, { writes: false });
  for (const write of [() => reader.write("x.txt", "one"), () => reader.log([step(1)]), () => reader.saveCheckpoint(Uint8Array.of(1)), () => reader.rewindLog(0)]) await write();
  expect(existsSync(path)).toBe(false);
  expect(await reader.loadCheckpoint()).toBeUndefined();
  await (await openRunFolder(path)).log([step(1)]);
  expect((await reader.readLog()).map((r) => r.step)).toEqual([1]);
});
