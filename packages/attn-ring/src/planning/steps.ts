import { piecesOf } from "../layout.ts";
import { pairsBetween } from "./pairs.ts";
import { checkProblem, keyValues, reachOf, type RingProblem } from "./problem.ts";
import type { RingPhase } from "./timeline.ts";

/** Who computes how much at which step, counted from the layout's own positions. */
export interface RingSteps {
  readonly ranks: number;
  /** Tokens of each rank's block. */
  readonly lengths: readonly number[];
  /** Allowed pairs of a query of rank r and a key of the block that is there at step s: `pairs[s · ranks + r]`. */
  readonly pairs: Float64Array;
  /** How far each block travels. */
  readonly travels: readonly BlockTravel[];
}

/** Hops after which a block is first and last needed by a rank other than its own; 0 where by none. It goes no further than the last. */
export interface BlockTravel {
  readonly first: number;
  readonly last: number;
}

/** The block that lies at `rank` at `step`: s hops around the ring brought it there. */
export const blockAt = (ranks: number, step: number, rank: number): number => (rank - step + ranks) % ranks;

/** Counts every step of every rank; a million of them take about a second. @throws PolyheadError `RING_PLAN`. */
export function countSteps(problem: RingProblem): RingSteps {
  const { ranks, tokens, layout } = checkProblem(problem);
  const reach = reachOf(problem.mask);
  const pieces = Array.from({ length: ranks }, (_, rank) => piecesOf(layout, rank, ranks, tokens));
  const lengths = pieces.map((of) => of.reduce((sum, { length }) => sum + length, 0));
  const pairs = new Float64Array(ranks * ranks);
  const travels = Array.from({ length: ranks }, () => ({ first: 0, last: 0 }));
  for (let step = 0; step < ranks; step++) {
    for (let rank = 0; rank < ranks; rank++) {
      const block = blockAt(ranks, step, rank);
      const count = pairsBetween(pieces[rank]!, pieces[block]!, reach);
      pairs[step * ranks + rank] = count;
      const travel = travels[block]!;
      if (count > 0 && travel.first === 0) travel.first = step;
      if (count > 0) travel.last = step;
    }
  }
  return { ranks, lengths, pairs, travels };
}

/** What goes over the wire in one attention. */
export interface WireBytes {
  /** Bytes that each rank sends. */
  readonly sent: readonly number[];
  readonly total: number;
  readonly messages: number;
}

/** Whether a block's k and v leave the rank where it is at a step. */
export const keysLeave = ({ last }: BlockTravel, step: number): boolean => step < last;

/** Whether the sum of a block's dk and dv leaves there: to the next rank, or home from the last that needed the block. */
export const sumsLeave = ({ first, last }: BlockTravel, step: number): boolean => step > 0 && step >= first && step <= last;

/**
 * Bytes on the wire. Forward, each block of k and v makes its hops: (n − 1) · 2 · c · h_kv · d · b a rank where all ranks need all blocks.
 * Backward, it makes them again; the f32 sum of dk and dv begins at the first other rank that needs the block, follows it, and
 * goes home from the last: as many hops, (n − 1) · 2 · c · h_kv · d · 4 more. The own share is added at home, and never travels.
 */
export function wireBytes(problem: RingProblem, phase: RingPhase, steps: RingSteps = countSteps(problem)): WireBytes {
  const { ranks, lengths, travels } = steps;
  const sent = new Array<number>(ranks).fill(0);
  let messages = 0;
  for (const [block, travel] of travels.entries()) {
    const values = lengths[block]! * keyValues(problem);
    for (let hop = 0; hop <= travel.last; hop++) {
      const from = (block + hop) % ranks;
      const keys = keysLeave(travel, hop);
      const sums = phase === "backward" && sumsLeave(travel, hop);
      sent[from]! += values * ((keys ? problem.elementBytes : 0) + (sums ? 4 : 0));
      messages += Number(keys) + Number(sums);
    }
  }
  return { sent, total: sent.reduce((sum, bytes) => sum + bytes, 0), messages };
}

/** How evenly a layout shares the work out: mean over greatest; 1 is even. */
export interface RingBalance {
  /** Mean work of a rank over the sum of each step's greatest: what is lost where all wait for the slowest in every step. */
  readonly lockstep: number;
  /** Mean work of a rank over that of the one that has most: what is lost where nobody waits before the end. */
  readonly overall: number;
}

/** The balance of the layout's own counts. */
export function balanceOf({ ranks, pairs }: RingSteps): RingBalance {
  const ofRank = new Float64Array(ranks);
  let [total, slowest] = [0, 0];
  for (let step = 0; step < ranks; step++) {
    let most = 0;
    for (let rank = 0; rank < ranks; rank++) {
      const count = pairs[step * ranks + rank]!;
      ofRank[rank]! += count;
      total += count;
      most = Math.max(most, count);
    }
    slowest += most;
  }
  const mean = total / ranks;
  return { lockstep: mean / slowest, overall: mean / ofRank.reduce((a, b) => Math.max(a, b), 0) };
}
