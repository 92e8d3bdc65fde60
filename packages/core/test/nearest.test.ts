import { describe, expect, it } from "vitest";
import { editDistance, nearest, suggest } from "../src/nearest.ts";

describe("the nearest known word", () => {
  it.each([
    ["", "abc", 3],
    ["rope", "rope", 0],
    ["ROPE", "rope", 0],
    ["bse", "base", 1],
    ["hedas", "heads", 1],
    ["kitten", "sitting", 3],
  ])("from '%s' to '%s' it is %i edits", (a, b, edits) => {
    expect([editDistance(a, b), editDistance(b, a)]).toEqual([edits, edits]);
  });

  it("is found for typing slips and beginnings, and not for something else", () => {
    const known = ["layers", "width", "sinusoidal", "feedForward"];
    expect(["lyers", "widht", "sin", "feedforward", "depth", ""].map((word) => nearest(word, known))).toEqual(["layers", "width", "sinusoidal", "feedForward", undefined, undefined]);
  });

  it("is offered with all the others", () => {
    expect(suggest("lyers", ["width", "layers"])).toBe("did you mean 'layers'? (known: layers, width)");
    expect(suggest("zzz", ["width", "layers"])).toBe("use one of: layers, width");
    expect(suggest("zzz", [])).toBe("leave it out; nothing is known here");
  });
});
