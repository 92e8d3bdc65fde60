import { readFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { snippet } from "./readme-snippet.ts";

it("the README's snippet compiles, runs and says what it says here", () => {
  const source = readFileSync(new URL("./readme-snippet.ts", import.meta.url), "utf8");
  const body = /\/\/ README begins\n([\s\S]*?) *\/\/ README ends/.exec(source)?.[1]?.replace(/^ {2}/gm, "") ?? "missing";
  expect(readFileSync(new URL("../README.md", import.meta.url), "utf8")).toContain(body);

  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  const o = snippet();
  log.mockRestore();
  // The first row of each document sees itself alone.
  expect([...o.subarray(0, 2), ...o.subarray(4, 6)]).toEqual([1, 0, 1, 1]);
});
