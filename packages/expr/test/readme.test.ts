import { readFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import { snippet } from "./readme-snippet.ts";

it("the README's snippet compiles, runs and prints what it says", () => {
  const source = readFileSync(new URL("./readme-snippet.ts", import.meta.url), "utf8");
  const body = /\/\/ README begins\n([\s\S]*?) *\/\/ README ends/.exec(source)?.[1]?.replace(/^ {2}/gm, "") ?? "missing";
  expect(readFileSync(new URL("../README.md", import.meta.url), "utf8")).toContain(body);

  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  snippet();
  const printed = log.mock.calls.map(([value]) => JSON.stringify(value));
  log.mockRestore();
  const said = [...body.matchAll(/^console\.log.*; \/\/ (.*)$/gm)].map(([, comment]) => comment!.replace(/(\w+): /g, '"$1":'));
  expect(printed).toEqual(said.map((text) => JSON.stringify(JSON.parse(text))));
});
