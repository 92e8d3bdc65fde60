import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { allCombinations, assemble, keyOf } from "../combination.ts";
import type { Outcome } from "../run.ts";
import { combinationsIn, renderMatrix } from "../table.ts";

const page = new URL("../../../docs/matrix.md", import.meta.url);

describe("docs/matrix.md", () => {
  it("tells of exactly the combinations that the lists give, so run `npm run matrix -- --write` after a change of them", () => {
    expect(existsSync(page)).toBe(true);
    expect(combinationsIn(readFileSync(page, "utf8")).sort()).toEqual(allCombinations().map(keyOf).sort());
  });

  it("tells of no failure", () => {
    expect(readFileSync(page, "utf8")).not.toContain("✗");
  });
});

describe("a page", () => {
  const all = allCombinations();

  it("shows every outcome in its place, and a sentence once", () => {
    const outcomes = new Map<string, Outcome>(all.map((one, i) => [keyOf(one), i % 3 === 0 ? { refusal: "it cannot" } : { error: 1.2e-7, where: "output", pass: i % 3 === 1 }]));
    const text = renderMatrix(outcomes, { adapter: "a device" });
    expect(combinationsIn(text).sort()).toEqual(all.map(keyOf).sort());
    expect(text.match(/it cannot/g)).toHaveLength(1);
    expect(text).toMatch(/✓ 1e-7 \|/);
    expect(text).toMatch(/✗ 1e-7 \[2\]/);
    expect(text).toContain("2. output");
  });

  it("misses a combination that has no outcome", () => {
    const outcomes = new Map<string, Outcome>(all.slice(1).map((one) => [keyOf(one), { error: 0, where: "output", pass: true }]));
    expect(combinationsIn(renderMatrix(outcomes, { adapter: "a device" })).sort()).toEqual(all.slice(1).map(keyOf).sort());
  });
});

it("a name that is not in the lists is an error that shows those that are", () => {
  expect(() => assemble({ ...allCombinations()[0]!, position: "ropes" })).toThrow(/no 'ropes'; they have none, /);
});
