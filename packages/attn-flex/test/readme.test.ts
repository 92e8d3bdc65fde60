import { readFileSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import { pictures } from "./pictures.ts";
import { snippet } from "./readme-snippet.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

describe("the README", () => {
  it("shows a snippet that compiles, runs and prints what it says", async () => {
    const source = readFileSync(new URL("./readme-snippet.ts", import.meta.url), "utf8");
    const body = /\/\/ README begins\n([\s\S]*?) *\/\/ README ends/.exec(source)?.[1]?.replace(/^ {2}/gm, "") ?? "missing";
    expect(readme).toContain(body);

    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    await snippet();
    const printed = log.mock.calls.map((values) => values.map((value) => JSON.stringify(value)).join(" "));
    log.mockRestore();
    expect(printed).toEqual([...body.matchAll(/console\.log.*; \/\/ (.*)$/gm)].map(([, said]) => said));
  });

  it("shows the pictures that modifiers draw", () => {
    expect(readme).toContain(pictures());
  });
});
