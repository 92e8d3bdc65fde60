import type { Capture, PositionLayer, ScoreHook } from "@polyhead/core";
import { uniform } from "@polyhead/testkit";
import { describe, expect, it } from "vitest";
import { clippedDistance, fire, fireBias, kerple, kerpleBias, relativeBias, relativeBucket, t5 } from "../src/index.ts";
import { dims } from "./dims.ts";

const hookOf = ({ hooks }: PositionLayer): ScoreHook => hooks[0] as ScoreHook;
const table = (hook: ScoreHook, name: string): Capture => hook.program.captures.find((capture) => capture.name === name)!;
const fill = (capture: Capture, seed: number): Capture => {
  capture.set(uniform(capture.data.length, seed));
  return capture;
};
/** What a hook adds for every pair of some queries and keys. */
const eachPair = (hook: ScoreHook, h: number, check: (added: number, i: number, j: number) => void): void => {
  for (const i of [0, 1, 6, 40]) for (let j = 0; j <= 60; j += 3) check(hook.reference(0, { b: 0, h, q: i, kv: j }), i, j);
};

describe("T5's buckets", () => {
  const decoder = { bidirectional: false, buckets: 32, maxDistance: 128 };
  const encoder = { bidirectional: true, buckets: 32, maxDistance: 128 };

  it("are one for each distance up to half, then ever wider, and one for all from the largest distance on", () => {
    expect([0, -1, -15].map((r) => relativeBucket(r, decoder))).toEqual([0, 1, 15]);
    expect([-16, -18, -19, -112, -113, -128, -1000].map((r) => relativeBucket(r, decoder))).toEqual([16, 16, 17, 30, 31, 31, 31]);
  });

  it("put all keys after the query with itself, or give them the upper half", () => {
    expect([1, 50].map((r) => relativeBucket(r, decoder))).toEqual([0, 0]);
    expect([-7, 7, -128, 128].map((r) => relativeBucket(r, encoder))).toEqual([7, 23, 15, 31]);
  });

  it("choose the number that a score gains, however far the key", () => {
    const hook = hookOf(t5.create({ buckets: 8, maxDistance: 20, bidirectional: true }, dims));
    const numbers = fill(table(hook, "table"), 3).data;
    eachPair(hook, 2, (added, i, j) => { expect(added).toBe(numbers[relativeBucket(j - i, { bidirectional: true, buckets: 8, maxDistance: 20 }) * 4 + 2]); });
  });

  it("are refused where they do not come out even", () => {
    expect(() => t5.create({ buckets: 7, bidirectional: true }, dims)).toThrow(/T5_BUCKETS.*7 buckets/s);
    expect(() => t5.create({ buckets: 32, maxDistance: 16 }, dims)).toThrow(/T5_BUCKETS.*distances up to 16/s);
  });
});

describe("the hooks say what the formulas say", () => {
  it("for the clamped table", () => {
    const hook = hookOf(relativeBias.create({ maxDistance: 5 }, dims));
    const numbers = fill(table(hook, "table"), 4).data;
    eachPair(hook, 3, (added, i, j) => { expect(added).toBe(numbers[3 * 11 + clippedDistance(i, j, 5)]); });
  });

  it("for both kernels of KERPLE", () => {
    for (const form of ["log", "power"] as const) {
      const hook = hookOf(kerple.create({ form }, dims));
      // Head 1 of 4 starts at 3/8 of each range.
      eachPair(hook, 1, (added, i, j) => { expect(added).toBeCloseTo(kerpleBias(form, 0.75, 0.375, i, j), 5); });
    }
  });

  it("for FIRE, before and beyond its threshold", () => {
    const hook = hookOf(fire.create({ width: 3, threshold: 20, c: 0.25 }, dims));
    const [w1, b1, w2, b2] = ["w1", "b1", "w2", "b2"].map((name, n) => fill(table(hook, name), 5 + n).data);
    eachPair(hook, 2, (added, i, j) => { expect(added).toBeCloseTo(fireBias({ c: 0.25, L: 20, w1: w1!, b1: b1!, w2: w2!.slice(6, 9), b2: b2![2]! }, i, j), 9); });
    const at = (q: number, kv: number): number => hook.reference(0, { b: 0, h: 2, q, kv });
    expect(at(3, 1)).toBe(at(19, 17));
    expect(at(30, 28)).not.toBe(at(40, 38));
  });
});

describe("what is learned", () => {
  it("starts as each paper's tables do, under the names that checkpoints store", () => {
    expect(hookOf(t5.create({}, dims)).params).toEqual({ table: { shape: [32, 4], init: { kind: "normal", std: 0.25 }, decay: true } });
    expect(hookOf(relativeBias.create({ maxDistance: 2, std: 0.1 }, dims)).params).toEqual({ table: { shape: [4, 5], init: { kind: "normal", std: 0.1 }, decay: true } });
    expect(Object.keys(hookOf(kerple.create({ form: "power" }, dims)).params)).toEqual(["logR1", "logitR2"]);
    expect(Object.keys(hookOf(fire.create({}, dims)).params).sort()).toEqual(["L", "b1", "b2", "c", "w1", "w2"]);
    expect(hookOf(fire.create({}, dims)).params).toMatchObject({ w1: { shape: [32] }, w2: { shape: [4, 32] }, b2: { shape: [4], init: "zeros" }, c: { shape: [] } });
  });

  it("is shared by all layers for T5 and KERPLE, and each layer's own elsewhere, unless asked otherwise", () => {
    expect([t5.create({}, dims), kerple.create({}, dims), relativeBias.create({}, dims), fire.create({}, dims)].map(({ perLayer }) => perLayer)).toEqual([false, false, true, true]);
    expect(t5.create({ perLayer: true }, dims).perLayer).toBe(true);
  });
});
