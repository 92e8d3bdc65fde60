import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { tinyModel } from "./tiny.ts";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(process.execPath, ["--conditions=@polyhead/source", "--disable-warning=ExperimentalWarning", MAIN, ...args], {
    encoding: "utf8", env: { ...process.env, POLYHEAD_GPU: "embedded", POLYHEAD_TUNE: "off" },
  });
const folder = tinyModel();

it("text goes to stdout, what it ran on to stderr", () => {
  const { status, stdout, stderr } = run("--model", folder, "--prompt", "abc", "--tokens", "6");
  expect(status).toBe(0);
  expect(stdout).toMatch(/^abc.*\n$/s);
  for (const line of [/^model +llama2c: 1 layers of width 8, [\d,]+ bytes/m, /^adapter +\S/m, /^plan +kernel 'flash'/m, /^prompt +\d+ tokens in/m, /^decode +\d+ tokens in/m, /^cache +\d+ bytes/m, /^ended +by (length|stop-id)$/m]) expect(stderr).toMatch(line);
});

it("--json prints one object and nothing else", () => {
  const { status, stdout } = run("--model", folder, "--prompt", "abc", "--tokens", "6", "--json");
  expect(status).toBe(0);
  const told = JSON.parse(stdout) as { ids: number[]; reason: string; family: string; timing: { tokens: number }; cacheBytes: number };
  expect(told.family).toBe("llama2c");
  expect(told.ids).toHaveLength(told.timing.tokens);
  // A key and a value of 4 numbers in one layer: 32 bytes a token, for the begin token, a space, three letters and what came.
  expect(told.cacheBytes).toBe(32 * (5 + told.ids.length));
});

it("a folder without a model, and a model without a chat template, are told without a stack", () => {
  const empty = run("--model", mkdtempSync(join(tmpdir(), "polyhead-empty-")), "--prompt", "a");
  expect(empty.status).toBe(1);
  expect(empty.stderr).toMatch(/PRETRAINED_FILES.*has no config\.json.*fix: /s);
  const chat = run("--model", folder, "--prompt", "a", "--chat");
  expect(chat.status).toBe(1);
  expect(chat.stderr).toMatch(/CHAT_TEMPLATE.*without a chat template/s);
  for (const { stdout, stderr } of [empty, chat]) {
    expect(stdout).toBe("");
    expect(stderr).not.toMatch(/\n\s+at /);
  }
});
