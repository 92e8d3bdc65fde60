import { describe, PolyheadError } from "@polyhead/core";
import { checkMachine, checkProblem, flopsPerPair, keyValues, queryValues, reachOf, type RingMachine, type RingProblem } from "./problem.ts";
import type { RingLayout } from "../layout.ts";
import type { RingPhase } from "./timeline.ts";

/** Bytes that one token's k and v take on the wire in a step: b an element, and in backward 4 more for the f32 sum of its gradient. */
const wireWidth = ({ elementBytes: b }: RingProblem, phase: RingPhase): number => (phase === "forward" ? b : b + 4);

/**
 * Mean balance of a causal mask over the steps of a ring, where all ranks wait for the slowest: mean work over the greatest.
 *
 * With n ranks of c tokens, the mean work of a rank is c(nc + 1)/2 pairs.
 * - contiguous: from step 1 on somebody (rank n − 1) computes a whole block: (n − 1)c² + c(c + 1)/2, so (nc + 1)/((2n − 1)c + 1), near n/(2n − 1);
 * - striped: in each step somebody has the whole triangle with its diagonal: n · c(c + 1)/2, so (nc + 1)/(nc + n), near c/(c + 1);
 * - zigzag: all have c²/2, and (c² + c)/2 at step 0: 1, where c is even.
 *
 * Exact where n divides the tokens; `balanceOf` counts it for any length.
 */
export function causalBalance(layout: RingLayout, n: number, c: number): number {
  switch (layout) {
    case "contiguous":
      return (n * c + 1) / ((2 * n - 1) * c + 1);
    case "striped":
      return (n * c + 1) / (n * c + n);
    case "zigzag":
      return 1;
  }
}

/**
 * Pairs of the whole sequence: T² of a full mask, T(T + 1)/2 of a causal one.
 *
 * @throws PolyheadError `RING_PLAN` for a window, which skips steps: the law of equal steps does not hold there.
 */
export function allowedPairs({ tokens: T, mask }: RingProblem): number {
  const { left, right } = reachOf(mask);
  if (left === Infinity && right === Infinity) return T * T;
  if (left === Infinity && right === 0) return (T * (T + 1)) / 2;
  throw new PolyheadError("RING_PLAN", `the law of equal steps does not hold for ${describe(mask)}, which skips some`, "use simulateRing, which counts every step");
}

/** One step of a ring in the mean, and what it makes of a whole attention. */
export interface StepTimes {
  /** Seconds that a rank's device needs: compute, k and v over the bus, and the step's fixed cost. t_c. */
  readonly compute: number;
  /** Of those, multiplying and adding. */
  readonly arithmetic: number;
  /** Seconds that a block is on the wire, with the sum of its gradient in backward. t_n. */
  readonly network: number;
  /** Seconds of all: see {@link stepTimes}. */
  readonly total: number;
  /** Seconds of arithmetic over those of all: 1 where nothing but attention costs time. */
  readonly efficiency: number;
}

/**
 * Times of a ring whose steps are all alike.
 *
 * - t_c = pairs · FLOP a pair / (n² · F) + bus + `stepSeconds`: k and v cross the bus (b bytes an element), in backward their gradient
 *   comes back (4 bytes); step 0 has nothing of that;
 * - t_k = latency + 2 · c · h_kv · d · b / B for a block, t_g the same with 4 for b for the sum of its gradient, t_n = t_k, and t_k + t_g in backward.
 *
 * Forward, T = (n − 1) · max(t_c, t_n) + t_c. Backward, T is the longest of three chains: all steps and the last sum, n · t_c + t_g; all
 * messages, (n − 1) · t_n, and what the last step computes while the link is idle, t_c − t_g; all blocks, the last step and its
 * sum, (n − 1) · t_k + t_c + t_g. Where none is much longer than the others, they hold each other up: simulations of 2 to 128
 * ranks take up to 13 % longer, and never less.
 *
 * It holds for layouts that share every step out evenly (full masks; zigzag, and nearly striped, where causal): `simulateRing` has
 * each step's own counts, of each layout.
 */
export function stepTimes(problem: RingProblem, given: RingMachine, phase: RingPhase): StepTimes {
  const { ranks: n, tokens, elementBytes: b } = checkProblem(problem);
  const machine = checkMachine(given);
  // A rank alone needs neither bus nor link.
  const block = n > 1 ? (tokens / n) * keyValues(problem) : 0;
  const message = (width: number): number => (n > 1 ? machine.latency + (block * width) / machine.linkBytes : 0);
  const arithmetic = (allowedPairs(problem) / n ** 2) * (flopsPerPair(problem, phase) / machine.flops);
  const bus = (block * wireWidth(problem, phase)) / machine.busBytes;
  const compute = arithmetic + bus + machine.stepSeconds;
  const [keys, sums] = [message(b), phase === "forward" ? 0 : message(4)];
  const network = keys + sums;
  const links = phase === "forward" ? (n - 1) * network + compute : Math.max((n - 1) * network + Math.max(compute - sums, 0), (n - 1) * keys + compute + sums);
  const total = n === 1 ? compute : Math.max(n * compute - bus + sums, links);
  return { compute, arithmetic, network, total, efficiency: (n * arithmetic) / total };
}

/**
 * Tokens a rank from which on the transfer hides behind compute: t_c ≥ t_n solved for c, without bus, latency and fixed cost.
 *
 * Forward, 4c²hd/F ≥ 2c·h_kv·d·b/B, so c ≥ (b/2)(h_kv/h)·F/B; backward, 10c²hd/F ≥ 2c·h_kv·d·(b + 4)/B, so
 * c ≥ ((b + 4)/5)(h_kv/h)·F/B. Twice that where a causal mask halves the work of every step alike.
 */
export function hidingTokens(problem: RingProblem, { flops, linkBytes }: RingMachine, phase: RingPhase): number {
  const share = allowedPairs(problem) === problem.tokens ** 2 ? 1 : 0.5;
  return (keyValues(problem) * wireWidth(problem, phase) * flops) / (linkBytes * share * flopsPerPair(problem, phase));
}

/** What a rank's device holds at once. */
export interface DeviceMemory {
  /** What is held, in blocks of c tokens of all query heads or of all key heads; log-sum-exps are no blocks. */
  readonly held: readonly { readonly name: string; readonly blocks: number; readonly bytes: number }[];
  readonly bytes: number;
}

/**
 * Memory of a device at its fullest, in blocks of c·d for each head; blocks of keys count h_kv heads, others h.
 *
 * Forward 6: q, o, and k and v twice, since one pair is computed with while the next arrives. Backward 12: q, o, do, dq; k and v twice;
 * dk and dv twice, the part at hand and the own one, to which the others' sum is added. Two more while a step's part (of o, of dq) is
 * added to what there was. o and all gradients are f32. A device alone needs 4 and 8: nothing passes by.
 *
 * It is what the kernel was measured to hold for `contiguous` and `striped`. `zigzag` cuts its rows in two, and holds one
 * or two blocks more in backward.
 */
export function deviceMemory(problem: RingProblem, phase: RingPhase): DeviceMemory {
  const { ranks, tokens, elementBytes: b, heads, batch = 1 } = checkProblem(problem);
  const c = Math.ceil(tokens / ranks);
  const [q, k, rows] = [c * queryValues(problem), (c * keyValues(problem)) / 2, c * heads * batch];
  const alone = ranks === 1;
  const [twice, times] = alone ? ["", 1] : [", twice", 2];
  const held = [
    { name: "q", blocks: 1, bytes: q * b },
    { name: `k and v${twice}`, blocks: 2 * times, bytes: 2 * times * k * b },
    phase === "forward" ? { name: "o", blocks: 1, bytes: q * 4 } : { name: "o, do, dq", blocks: 3, bytes: 3 * q * 4 },
    ...(phase === "forward" ? [] : [{ name: `dk and dv${twice}`, blocks: 2 * times, bytes: 2 * times * k * 4 }]),
    ...(alone ? [] : [{ name: `a step's ${phase === "forward" ? "o" : "dq"}, and its sum`, blocks: 2, bytes: 2 * q * 4 }]),
    { name: phase === "forward" ? "log-sum-exp" : "log-sum-exp, Δ", blocks: 0, bytes: (phase === "forward" ? 1 : 2) * rows * 4 },
  ];
  return { held, bytes: held.reduce((sum, { bytes }) => sum + bytes, 0) };
}
