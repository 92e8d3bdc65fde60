import { allows, causal, full, window, type Mask } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import { piecesOf, type RingLayout } from "../src/layout.ts";
import { allowedPairs, balanceOf, blockAt, causalBalance, countSteps, pairsBetween, reachOf, wireBytes, type RingProblem } from "../src/planning/index.ts";

const layouts: readonly RingLayout[] = ["contiguous", "zigzag", "striped"];
const masks: readonly Mask[] = [full(), causal(), window(0), window(5), window(3, 2), window(100), window(4, Infinity)];

const problem = (given: Partial<RingProblem>): RingProblem => ({ ranks: 4, tokens: 37, heads: 4, kvHeads: 2, headDim: 8, elementBytes: 4, mask: causal(), layout: "contiguous", ...given });

/** Positions of a rank's tokens, one by one. */
const positions = (layout: RingLayout, rank: number, ranks: number, tokens: number): number[] =>
  piecesOf(layout, rank, ranks, tokens).flatMap(({ start, stride, length }) => Array.from({ length }, (_, i) => start + i * stride));

describe.each(layouts)("%s", (layout) => {
  it.each([[1, 9], [2, 9], [3, 37], [4, 37], [4, 64], [8, 23]])("each step's pairs are those that the mask allows cell by cell (%i ranks, %i tokens)", (ranks, tokens) => {
    for (const mask of masks) {
      const { pairs, lengths } = countSteps(problem({ layout, ranks, tokens, mask }));
      const at = Array.from({ length: ranks }, (_, rank) => positions(layout, rank, ranks, tokens));
      expect(lengths).toEqual(at.map(({ length }) => length));
      for (let step = 0; step < ranks; step++) {
        for (let rank = 0; rank < ranks; rank++) {
          const keys = at[blockAt(ranks, step, rank)]!;
          const cells = at[rank]!.reduce((sum, q) => sum + keys.filter((kv) => allows(mask, { b: 0, h: 0, q, kv })).length, 0);
          expect(pairs[step * ranks + rank], `${mask.kind} step ${step} rank ${rank}`).toBe(cells);
        }
      }
    }
  });

  it.each([[2, 64], [3, 48], [8, 512]])("the causal balance by formula is the one that is counted (%i ranks, %i tokens)", (ranks, tokens) => {
    const balance = balanceOf(countSteps(problem({ layout, ranks, tokens })));
    expect(causalBalance(layout, ranks, tokens / ranks)).toBeCloseTo(balance.lockstep, 12);
    expect(balance.overall).toBeGreaterThanOrEqual(balance.lockstep - 1e-12);
  });

  it("the wire has the formula's bytes where all ranks need all blocks", () => {
    const [ranks, c] = [4, 16];
    const of = problem({ layout, ranks, tokens: ranks * c, mask: full(), elementBytes: 2, batch: 3 });
    const block = 2 * c * 3 * of.kvHeads * of.headDim;
    expect(wireBytes(of, "forward").sent).toEqual(new Array(ranks).fill((ranks - 1) * block * 2));
    expect(wireBytes(of, "backward").sent).toEqual(new Array(ranks).fill((ranks - 1) * block * (2 + 4)));
  });
});

it("pieces of different strides are counted like any others", () => {
  const q = [{ start: 3, stride: 5, length: 7 }];
  const k = [{ start: 1, stride: 2, length: 9 }, { start: 30, stride: 1, length: 4 }];
  const walk = (start: number, stride: number, length: number): number[] => Array.from({ length }, (_, i) => start + i * stride);
  const keys = k.flatMap(({ start, stride, length }) => walk(start, stride, length));
  for (const mask of masks) {
    const cells = walk(3, 5, 7).reduce((sum, at) => sum + keys.filter((kv) => allows(mask, { b: 0, h: 0, q: at, kv })).length, 0);
    expect(pairsBetween(q, k, reachOf(mask)), mask.kind).toBe(cells);
  }
});

it("a window's blocks travel to the last rank that needs them", () => {
  // 8 ranks of 10 tokens; 12 positions back reach into the second block before.
  const { travels } = countSteps(problem({ ranks: 8, tokens: 80, mask: window(12) }));
  expect(travels.map(({ last }) => last)).toEqual([2, 2, 2, 2, 2, 2, 1, 0]);
  expect(travels.map(({ first }) => first)).toEqual([1, 1, 1, 1, 1, 1, 1, 0]);
});

it("all pairs are counted once", () => {
  for (const mask of [full(), causal()]) {
    for (const layout of layouts) {
      const of = problem({ ranks: 5, tokens: 83, layout, mask });
      expect(countSteps(of).pairs.reduce((a, b) => a + b, 0)).toBe(allowedPairs(of));
    }
  }
});

it("a million tokens on 1,024 ranks keep their exact count", () => {
  const of = problem({ ranks: 1024, tokens: 1_000_000, layout: "zigzag" });
  expect(countSteps(of).pairs.reduce((a, b) => a + b, 0)).toBe((1_000_000 * 1_000_001) / 2);
});
