import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { TrainRecord } from "@polyhead/train";
import { fresh, program, type Finished } from "./program.ts";

const text = join(fresh(), "a <b>book & more.txt");
writeFileSync(text, "the whale <i>sings</i> & the sea sings back. ".repeat(60));
const SMALL = ["--size", "tiny", "--layers", "1", "--width", "16", "--context", "16", "--batch", "2", "--text", text];
const records = (out: string): TrainRecord[] => readFileSync(join(out, "log.jsonl"), "utf8").trimEnd().split("\n").map((line) => JSON.parse(line) as TrainRecord);
const stepsOf = (out: string): number[] => records(out).filter(({ kind }) => kind === "step").map(({ step }) => step);
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("Ctrl-C in the middle of training", () => {
  const out = fresh();
  let stopped: Finished;
  let at = 0;
  beforeAll(async () => {
    stopped = await program("train.ts", [...SMALL, "--steps", "800", "--out", out], /step 10: loss/);
    at = stepsOf(out).length;
  });

  it("ends well, and says how far it came and how to go on", () => {
    expect(stopped.error.replaceAll(/^Warning: .*\n/gm, "")).toBe("");
    expect(stopped.code).toBe(0);
    expect(stopped.out).toMatch(/step 10: loss \d+\.\d{4} \([\d,]+ tokens\/s\)/);
    expect(stopped.out).toMatch(/stopped at step \d+ of 800; go on with --resume/);
  });

  it("leaves a checkpoint and a log without gaps", () => {
    expect(existsSync(join(out, "checkpoint.safetensors"))).toBe(true);
    expect(at).toBeGreaterThanOrEqual(10);
    expect(at).toBeLessThan(800);
    expect(stepsOf(out)).toEqual(upTo(at));
  });

  it("the demo goes on from there; a second Ctrl-C leaves a report, a command to go on with, and no step told twice", async () => {
    const { code, out: said, error } = await program("demo.ts", ["--resume", "--text", text, "--steps", "9", "--out", out], /validation loss \d/);
    expect(error.replaceAll(/^Warning: .*\n/gm, "")).toBe("");
    expect(code).toBe(0);
    expect(said).toContain(`at step ${at} of 800`);
    expect(said).toMatch(/a resumed run keeps its parts and numbers: --steps changed nothing/);
    const reached = stepsOf(out).length;
    expect(reached).toBeGreaterThan(at);
    expect(stepsOf(out)).toEqual(upTo(reached));
    expect(said).toContain(`stopped at step ${reached}; go on with: npm run demo -- --resume --out ${out} --text ${JSON.stringify(text)}`);
    expect(said).not.toContain("\u001B"); // no cursor games where there is no terminal
    const page = readFileSync(join(out, "report.html"), "utf8");
    expect(page).toContain("a &#60;b&#62;book &#38; more.txt");
    expect(page).not.toContain("<b>book");
    expect(page).toContain("<polyline");
  });

  it("another text is refused when resuming", async () => {
    const other = join(fresh(), "other.txt");
    writeFileSync(other, "quite another alphabet: 0123456789 ".repeat(50));
    const { code, error } = await program("train.ts", ["--resume", "--text", other, "--out", out]);
    expect(code).toBe(1);
    expect(error).toMatch(/RUN_TEXT.*characters differ.*fix: give the same --text again/s);
  });

  it("an unknown character at sampling is named, with its place", async () => {
    const { code, error } = await program("sample.ts", ["--run", out, "--prompt", "the whale €"]);
    expect(code).toBe(1);
    expect(error).toMatch(/TEXT_UNKNOWN_CHARACTER.*"€" \(U\+20AC\) at place 10 is not among the \d+.*fix: leave it out/s);
    expect(error).not.toMatch(/\n\s+at /); // a message, no stack
  });

  it("a sample goes on from its prompt, as long as asked", async () => {
    const { code, out: written } = await program("sample.ts", ["--run", out, "--prompt", "the ", "--tokens", "12"]);
    expect(code).toBe(0);
    expect(written).toMatch(/^the .{12}\n$/s);
  });

  it("a checkpoint that is cut short is named by its file and not resumed", async () => {
    const file = join(out, "checkpoint.safetensors");
    truncateSync(file, 5000);
    const { code, error } = await program("train.ts", ["--resume", "--text", text, "--out", out]);
    expect(code).toBe(1);
    expect(error).toMatch(/SAFETENSORS_TRUNCATED.*checkpoint\.safetensors/s);
    expect(error).toContain("fix: ");
  });
});

it("a file in the way of the run folder is told before anything is trained", async () => {
  const { code, out, error } = await program("demo.ts", [...SMALL, "--steps", "5", "--out", join(text, "run")]);
  expect(code).toBe(1);
  expect(error).toMatch(/RUN_FOLDER.*cannot write the folder itself.*fix: choose a folder you may write to/s);
  expect(out).not.toContain("step");
});

it("key heads that do not divide the heads are refused with both numbers", async () => {
  const { code, error } = await program("demo.ts", [...SMALL, "--steps", "5", "--heads", "4", "--kv-heads", "3", "--out", fresh()]);
  expect(code).toBe(1);
  expect(error).toMatch(/ATTN_HEADS.*4 query heads cannot share 3 key heads.*fix: set kvHeads to a divisor of 4/s);
});

it("there must be a checkpoint to resume", async () => {
  const { code, error } = await program("demo.ts", ["--resume", "--text", text, "--out", fresh()]);
  expect(code).toBe(1);
  expect(error).toMatch(/RUN_FOLDER.*there is no checkpoint in .* to resume/s);
});
