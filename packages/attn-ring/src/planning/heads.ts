import { PolyheadError } from "@polyhead/core";
import { lengthOf, piecesOf } from "../layout.ts";
import { allowedPairs } from "./formulas.ts";
import { checkMachine, checkProblem, flopsPerPair, keyValues, queryValues, type RingMachine, type RingProblem } from "./problem.ts";
import type { RingPhase } from "./timeline.ts";

/** What gathering heads instead of passing blocks around would cost: DeepSpeed-Ulysses (Jacobs et al. 2023, arXiv:2309.14509). */
export interface GatheredHeads {
  /** Bytes that all ranks send, and a rank in the mean. */
  readonly totalBytes: number;
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
 * - Bytes sent a rank, all in f32: (n − 1)/n · c · 4 · (2hd + 2h_kv · d + h), for q, k, v there, o and its log-sum-exp back; backward
 *   as many, for do and the log-sum-exp's gradient there, dq, dk and dv back. A ring sends (n − 1) · 2c · h_kv · d · b, and so much
 *   more for many ranks. Each message is of whole 16-byte groups, as memory of a device is.
 * - Memory: whole sequences of h/n heads are as large as c tokens of all: q, o, k, v, 4 blocks forward; do, dq, dk, dv too, 8 backward;
 *   and as many again in rows of this rank.
 * - n divides h_kv, or the ranks would share a head: here is its limit, which a ring does not have.
 *
 * @throws PolyheadError `RING_PLAN` where n does not divide the heads.
 */
export function gatherHeads(problem: RingProblem, given: RingMachine, phase: RingPhase): GatheredHeads {
  const { ranks: n, tokens, heads, kvHeads, batch = 1, elementBytes: b, layout } = checkProblem(problem);
  const machine = checkMachine(given);
  if (kvHeads % n !== 0) throw new PolyheadError("RING_PLAN", `${n} ranks cannot share out ${kvHeads} key heads`, "gather heads over a number of ranks that divides them, or pass blocks around a ring");
  const message = (values: number): number => 16 * Math.ceil((values / n) * (4 / 16));
  let totalBytes = 0;
  for (let rank = 0; rank < n; rank++) {
    const c = lengthOf(piecesOf(layout, rank, n, tokens));
    // Of each tensor, as many messages go out with this rank's rows as come in with them.
    totalBytes += (n - 1) * (2 * message(c * queryValues(problem)) + 2 * message((c * keyValues(problem)) / 2) + message(c * heads * batch));
  }
  const sentBytes = totalBytes / n;
  const c = tokens / n;
  const [q, kv] = [c * queryValues(problem), c * keyValues(problem)];
  const arithmetic = (allowedPairs(problem) * flopsPerPair(problem, phase)) / (n * machine.flops);
  // Each exchange crosses the bus on its way out and on its way in.
  const bus = n === 1 ? 0 : (2 * sentBytes) / machine.busBytes;
  const seconds = arithmetic + sentBytes / machine.linkBytes + bus + 2 * (n - 1) * machine.latency + machine.stepSeconds;
  const blocks = phase === "forward" ? (q + kv) * b + q * 4 : (q + kv) * b + 3 * q * 4 + kv * 4;
  return { totalBytes, sentBytes, seconds, efficiency: arithmetic / seconds, deviceBytes: blocks * 2 };
}
