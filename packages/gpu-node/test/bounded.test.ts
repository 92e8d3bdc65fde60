import { expect, it } from "vitest";
import { Bounded } from "@polyhead/gpu";

it("a bounded map forgets what was asked for longest ago, and says so", () => {
  const forgotten: string[] = [];
  const kept = new Bounded<number, string>(2, (value) => { forgotten.push(value); });
  const ask = (key: number): string => kept.get(key, () => `value ${String(key)}`);
  ask(1);
  ask(2);
  ask(1);
  ask(3);
  expect(forgotten).toEqual(["value 2"]);
  expect(kept.size).toBe(2);
  expect(kept.get(1, () => "made anew")).toBe("value 1");
});
