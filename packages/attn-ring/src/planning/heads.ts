import { PolyheadError } from "@polyhead/core";
import { allowedPairs } from "./formulas.ts";
import { checkMachine, checkProblem, flopsPerPair, keyValues, queryValues, type RingMachine, type RingProblem } from "./problem.ts";
import type { RingPhase } from "./timeline.ts";

/** What gathering heads instead of passing blocks around would cost: DeepSpeed-Ulysses (Jacobs et al. 2023, arXiv:2309.14509). */
export interface GatheredHeads {
  /** Bytes that a rank sends. */
  readonly sentBytes: number;
  /** Seconds of both exchanges and of the compute between them, which wait for each other. */
  readonly seconds: number;
  readonly efficiency: number;
  /** Bytes of a device: whole sequences of h/n heads. */
  readonly deviceBytes: number;
}

/**
 * Every rank gives away all heads but its own share of its tokens, and gets its heads of all tokens: an all-to-all before, one after.
 *
 * - Bytes sent a rank, forward: (n − 1)/n · c · d · ((h + 2h_kv) · b + 4h), for q, k, v there and o (f32) back; backward,
 *   do and then dq, dk, dv (f32): (n − 1)/n · c · d · (8h + 8h_kv). A ring sends (n − 1) · 2c · d · h_kv · b: from some n on, far more.
 * - Memory: q and o of T · h/n · d = c · h · d, k and v alike: 4 blocks forward, 8 backward, and as many to send from.
 * - n divides h_kv, or the ranks would share a head: here is its limit, which a ring does not have.
 *
 * @throws PolyheadError `RING_PLAN` where n does not divide the heads.
 */
export function gatherHeads(problem: RingProblem, given: RingMachine, phase: RingPhase): GatheredHeads {
  const { ranks: n, tokens, kvHeads, elementBytes: b } = checkProblem(problem);
  const machine = checkMachine(given);
  if (kvHeads % n !== 0) throw new PolyheadError("RING_PLAN", `${n} ranks cannot share out ${kvHeads} key heads`, "gather heads over a number of ranks that divides them, or pass blocks around a ring");
  const c = tokens / n;
  const [q, kv] = [c * queryValues(problem), c * keyValues(problem)];
  const [there, back] = phase === "forward" ? [(q + kv) * b, q * 4] : [q * 4, (q + kv) * 4];
  const sentBytes = ((there + back) * (n - 1)) / n;
  const arithmetic = (allowedPairs(problem) * flopsPerPair(problem, phase)) / (n * machine.flops);
  // Each exchange crosses the bus on its way out and on its way in.
  const bus = n === 1 ? 0 : (2 * (there + back)) / machine.busBytes;
  const seconds = arithmetic + sentBytes / machine.linkBytes + bus + 2 * (n - 1) * machine.latency + machine.stepSeconds;
  const blocks = phase === "forward" ? (q + kv) * b + q * 4 : (q + kv) * b + 3 * q * 4 + kv * 4;
  return { sentBytes, seconds, efficiency: arithmetic / seconds, deviceBytes: blocks * 2 };
}
