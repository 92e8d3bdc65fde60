import { describe, expect, it } from "vitest";
import { type Mask, allows, and, causal, checkMask, custom, describe as inWords, document, evaluate, full, maskMod, materialize, not, or, prefix, toProgram, window } from "../src/index.ts";

const documents = document(Int32Array.of(0, 0, 1, 1, 1, 2, 0, 1, 1, 1, 1, 1), [2, 6]);
const all: Mask[] = [
  full(),
  causal(),
  window(2),
  window(1, 2),
  window(Infinity, 1),
  window(2, Infinity),
  prefix(3),
  documents,
  document(Int32Array.of(0, 0, 1, 1)),
  custom(maskMod`(q + kv + h + b) % 3 == 0`),
  and(causal(), documents),
  or(window(0), prefix(2), custom(maskMod`h == 1`)),
  not(and(causal(), not(window(1)))),
  and(),
  or(),
];

describe("a mask", () => {
  it.each(all.map((mask) => [inWords(mask), mask] as const))("%s: its program agrees with its law in every cell", (_, mask) => {
    const program = toProgram(mask);
    for (let b = 0; b < 2; b++) {
      for (let h = 0; h < 2; h++) {
        for (let q = 0; q < 7; q++) for (let kv = 0; kv < 7; kv++) expect(evaluate(program, { b, h, q, kv })[0] === 1, `at ${JSON.stringify({ b, h, q, kv })}`).toBe(allows(mask, { b, h, q, kv }));
      }
    }
  });

  it.each([
    ["full", full(), "1111 1111 1111"],
    ["causal with a cache of one", causal(), "1100 1110 1111"],
    ["window", window(1), "1100 0110 0011"],
    ["window with a right side", window(0, 1), "0110 0011 0001"],
    ["prefix", prefix(3), "1110 1110 1111"],
    ["not", not(causal()), "0011 0001 0000"],
    ["or", or(window(0), prefix(1)), "1100 1110 1111"],
  ] as const)("%s: draws the picture one expects, for queries 1 to 3 of 4 keys", (_, mask, picture) => {
    expect([...materialize(mask, { queries: 3, keys: 4, qOffset: 1 })].join("")).toBe(picture.replaceAll(" ", ""));
  });

  it("documents see only themselves, a row of ids for each batch row", () => {
    const ids = document(Int32Array.of(0, 0, 1, 1, 1, 0), [2, 3]);
    expect([...materialize(ids, { batch: 2, queries: 3, keys: 3 })].join("")).toBe("110110001" + "110110001");
    expect(allows(ids, { b: 0, h: 0, q: 3, kv: 3 })).toBe(false);
  });

  it("is frozen, and always gives the same program", () => {
    expect(all.every(Object.isFrozen)).toBe(true);
    expect(toProgram(documents)).toBe(toProgram(documents));
  });

  it("survives JSON where it is plain, and says so where it is not", () => {
    const plain = and(causal(), or(window(3), prefix(2)), not(full()));
    expect(checkMask(JSON.parse(JSON.stringify(plain)))).toEqual(plain);
    expect(checkMask(documents)).toBe(documents);
    expect(() => checkMask(JSON.parse(JSON.stringify(custom(maskMod`kv < q`)).replace(/"program":.*$/, '"program":{}}')))).toThrow(
      "[MASK_KIND] a mask of kind 'custom' holds code or arrays, which JSON cannot carry\n  fix: make it with custom(...) and pass the object",
    );
  });

  it("refuses bad extents, kinds and programs, and says what it wants", () => {
    expect(() => window(-1)).toThrow("[MASK_EXTENT] left is -1; expected an integer of at least 0, or Infinity");
    expect(() => prefix(1.5)).toThrow("[MASK_EXTENT] length is 1.5; expected an integer of at least 0\n  fix: set length to a number of positions");
    expect(() => checkMask({ kind: "casual" })).toThrow("[MASK_KIND] unknown mask 'casual'\n  fix: did you mean 'causal'?");
    expect(() => checkMask("causal")).toThrow("[MASK_KIND] the mask is 'causal'; expected an object with a kind");
    expect(() => checkMask({ kind: "window" })).toThrow("[MASK_EXTENT] left is undefined");
    expect(() => document(Int32Array.of(1, 2, 3), [2, 2])).toThrow("[MASK_DOCUMENT] 3 document ids of shape [2, 2]; expected [T] or [B, T]");
    expect(() => custom({ ...maskMod`kv < q`, type: "f32" })).toThrow("[MASK_PROGRAM] the program yields f32; expected bool\n  fix: write it with maskMod");
  });
});
