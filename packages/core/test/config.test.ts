import { describe, expect, it } from "vitest";
import { resolveConfig, type OptionSpec } from "../src/index.ts";

const options: Readonly<Record<string, OptionSpec>> = {
  scaling: {
    type: "group",
    doc: "how to reach further",
    options: {
      factor: { type: "number", min: 1, default: 2, doc: "how much further" },
      byPair: { type: "numbers", min: 0, doc: "one a pair" },
    },
  },
};
const resolve = (scaling: unknown): unknown => resolveConfig("position", options, { scaling });

describe("an option of options", () => {
  it("is filled in and checked like any config, with its place in the message", () => {
    expect(resolve({ byPair: [1, 2.5] })).toEqual({ scaling: { factor: 2, byPair: [1, 2.5] } });
    expect(resolve(undefined)).toEqual({});
    expect(() => resolve({ fctor: 3 })).toThrow(/CONFIG_UNKNOWN_KEY.*'position\.scaling\.fctor'.*did you mean 'factor'/s);
    expect(() => resolve({ factor: 0 })).toThrow(/CONFIG_RANGE.*position\.scaling\.factor is 0/s);
    expect(() => resolve(3)).toThrow(/CONFIG_TYPE.*position\.scaling is 3/s);
  });

  it("may be a list of numbers, each in range", () => {
    expect(() => resolve({ byPair: 3 })).toThrow(/CONFIG_TYPE.*byPair is 3; expected a list of numbers, each of at least 0/s);
    expect(() => resolve({ byPair: [1, "2"] })).toThrow(/CONFIG_TYPE/);
    expect(() => resolve({ byPair: [1, NaN] })).toThrow(/CONFIG_TYPE/);
    expect(() => resolve({ byPair: [1, -2] })).toThrow(/CONFIG_RANGE/);
  });
});
