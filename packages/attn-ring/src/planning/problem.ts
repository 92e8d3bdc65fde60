import { describe, PolyheadError, type Mask } from "@polyhead/core";
import type { RingLayout } from "../layout.ts";
import type { RingPhase } from "./timeline.ts";

/** One attention over several ranks, in numbers: nothing of it needs a device. */
export interface RingProblem {
  readonly ranks: number;
  /** Of the whole sequence, over all ranks. */
  readonly tokens: number;
  readonly batch?: number;
  readonly heads: number;
  readonly kvHeads: number;
  /** Features of a head of q, k and v. */
  readonly headDim: number;
  /** Bytes of an element of q, k and v: 4 in f32, 2 in f16. Sums (o, dq, dk, dv) are f32 whatever this is. */
  readonly elementBytes: number;
  /** Full, causal or a window: what has a closed form. */
  readonly mask: Mask;
  readonly layout: RingLayout;
}

/** What each rank computes on, and what lies between two of them. */
export interface RingMachine {
  /** Useful FLOP a second that the kernel reaches: see {@link flopsPerPair}. */
  readonly flops: number;
  /** Bytes a second that a rank can send while it receives as many. */
  readonly linkBytes: number;
  /** Seconds from a message's begin to its first byte. Default 0. */
  readonly latency?: number;
  /** Bytes a second between host and device, which K and V cross in every step: WebGPU has no way from device to device. Default: no cost. */
  readonly busBytes?: number;
  /** Seconds that a step costs whatever its size: to encode, submit and be told that it is done. Default 0. */
  readonly stepSeconds?: number;
}

/** How far from a query keys may lie: the query at q sees keys from q − left to q + right. */
export interface Reach {
  readonly left: number;
  readonly right: number;
}

/** @throws PolyheadError `RING_PLAN` for a mask that has no closed form. */
export function reachOf(mask: Mask): Reach {
  switch (mask.kind) {
    case "full":
      return { left: Infinity, right: Infinity };
    case "causal":
      return { left: Infinity, right: 0 };
    case "window":
      return { left: mask.left, right: mask.right };
    default:
      throw new PolyheadError("RING_PLAN", `the planner cannot count the cells of ${describe(mask)}`, "plan with full(), causal() or window(left, right)");
  }
}

const wholes = ["ranks", "tokens", "batch", "heads", "kvHeads", "headDim", "elementBytes"] as const;

/** @throws PolyheadError `RING_PLAN` that names what is wrong. */
export function checkProblem(problem: RingProblem): RingProblem {
  for (const name of wholes) {
    const value = problem[name] ?? 1;
    if (!Number.isSafeInteger(value) || value < 1) throw new PolyheadError("RING_PLAN", `${name} is ${value}; expected a whole number from 1`, `set ${name}`);
  }
  const { heads, kvHeads, tokens, ranks } = problem;
  if (heads % kvHeads !== 0) throw new PolyheadError("RING_PLAN", `${heads} query heads are no multiple of ${kvHeads} key heads`, "each key head serves as many query heads as any other");
  if (tokens < ranks) throw new PolyheadError("RING_PLAN", `${tokens} tokens cannot be shared out among ${ranks} ranks`, "use as many ranks as there are tokens at most");
  reachOf(problem.mask);
  return problem;
}

/** @throws PolyheadError `RING_PLAN` that names what is wrong. */
export function checkMachine(machine: RingMachine): Required<RingMachine> {
  const whole = { latency: 0, busBytes: Infinity, stepSeconds: 0, ...machine };
  for (const [name, value] of Object.entries(whole)) {
    const least = name === "latency" || name === "stepSeconds" ? value >= 0 : value > 0;
    if (!least) throw new PolyheadError("RING_PLAN", `${name} is ${value}; expected a number ${name === "latency" || name === "stepSeconds" ? "of at least" : "above"} 0`, `set ${name} in SI units: bytes, seconds, FLOP a second`);
  }
  return whole;
}

/**
 * Useful FLOP for one allowed pair of query and key, over all batch rows and heads.
 *
 * A product's term is a multiply and an add. Forward: q·k and p·v, 2 · 2d. Backward: q·k again, g·v, and the terms of dq, dk and
 * dv, 5 · 2d. (Kernels that compute dq and dk, dv apart form the first two of those twice, so they reach 5/7 of what they execute.)
 */
export const flopsPerPair = ({ batch = 1, heads, headDim }: RingProblem, phase: RingPhase): number => (phase === "forward" ? 4 : 10) * headDim * heads * batch;

/** Kernels and messages have heads in fours. */
const padded = (headDim: number): number => 4 * Math.ceil(headDim / 4);

/** Elements of k and v together for one token, as they are stored and sent. */
export const keyValues = ({ batch = 1, kvHeads, headDim }: RingProblem): number => 2 * batch * kvHeads * padded(headDim);

/** Elements of q, or of o, for one token. */
export const queryValues = ({ batch = 1, heads, headDim }: RingProblem): number => batch * heads * padded(headDim);
