import { EventQueue } from "./event-queue.ts";
import { checkMachine, flopsPerPair, keyValues, type RingMachine, type RingProblem } from "./problem.ts";
import { blockAt, countSteps, keysLeave, sumsLeave, type RingSteps } from "./steps.ts";
import type { RankTimeline, RingEvent, RingPhase } from "./timeline.ts";

export interface SimulateOptions {
  /** Ranks whose events are kept, from 0 on: two to five events a step each. Default none. */
  readonly timelines?: number;
  /** Counts made before, for this problem. */
  readonly steps?: RingSteps;
}

/** How a simulated attention went. */
export interface Simulated {
  /** Until the last rank has finished. */
  readonly seconds: number;
  /** When each rank had done its last work. */
  readonly finished: Float64Array;
  /** Share of the time in which devices multiply and add, over all ranks. */
  readonly utilisation: number;
  /** Bytes that all ranks sent. */
  readonly bytes: number;
  readonly timelines: readonly RankTimeline[];
}

// What happens: a rank computes, sends its block of k and v on, sends the sum of dk and dv on.
const [COMPUTE, KEYS, SUMS] = [0, 1, 2];

/**
 * Discrete events of a ring of n ranks: each has a queue of device work and a link that sends one message at a time.
 *
 * - Step s computes once the block of step s is there, one step after the other: bus, arithmetic with the layout's own pairs, and
 *   in backward the way back for dk and dv.
 * - The block of step s is sent on once it is there, the one before it has left, and the neighbour has room: it holds two blocks,
 *   and frees one when it has computed with it and sent it on.
 * - In backward, the sum of step s leaves once this rank's part and the sum of the rank before are there, and the neighbour
 *   has sent the one before. The last one that needed the block sends the sum home; the own share, of step 0, is added there.
 *
 * Nobody waits for all: a rank that is late holds up its neighbours, and they theirs. 1,024 ranks are two or three million events.
 *
 * @throws PolyheadError `RING_PLAN`.
 */
export function simulateRing(problem: RingProblem, machine: RingMachine, phase: RingPhase, { timelines = 0, steps = countSteps(problem) }: SimulateOptions = {}): Simulated {
  const { ranks: n, travels, pairs, lengths } = steps;
  const { flops, linkBytes, latency, busBytes, stepSeconds } = checkMachine(machine);
  const backward = phase === "backward";
  const perPair = flopsPerPair(problem, phase) / flops;
  const [values, cells] = [keyValues(problem), n * n];
  const idOf = (kind: number, step: number, rank: number): number => kind * cells + step * n + rank;
  const next = (rank: number): number => (rank + 1) % n;

  const sends = (kind: number, step: number, block: number): boolean => (kind === KEYS ? keysLeave(travels[block]!, step) : backward && sumsLeave(travels[block]!, step));
  const bytesOf = (kind: number, block: number): number => lengths[block]! * values * (kind === KEYS ? problem.elementBytes : 4);

  // Of what each thing waits for, how much is still to come. What is not sent, or not needed, happens too, and takes no time.
  const waiting = new Uint8Array(3 * cells);
  for (let step = 0; step < n; step++) {
    const [first, last] = [step === 0, step === n - 1];
    waiting.fill(first ? 0 : 2, idOf(COMPUTE, step, 0), idOf(COMPUTE, step, n)); // the step before; its block
    if (!last) waiting.fill(first ? 0 : 4, idOf(KEYS, step, 0), idOf(KEYS, step, n)); // its block; the link; the neighbour's two
    if (backward) waiting.fill(first ? 1 : 3, idOf(SUMS, step, 0), idOf(SUMS, step, n)); // the part; the sum; the neighbour's room
  }

  const queue = new EventQueue();
  // Device and link of each rank: when they are free. Work of one resource becomes ready in the order in which it is done.
  const free = new Float64Array(2 * n);
  const finished = new Float64Array(n);
  const events: RingEvent[][] = Array.from({ length: Math.min(n, timelines) }, () => []);
  let [busy, bytes] = [0, 0];

  const tell = (rank: number, step: number, kind: RingEvent["kind"], start: number, seconds: number, moved: number): number => {
    if (seconds > 0) events[rank]?.push({ step, phase, kind, start: start * 1000, end: (start + seconds) * 1000, bytes: moved });
    return start + seconds;
  };

  /** Does device work from when the device is free; the end. */
  const compute = (step: number, rank: number, ready: number): number => {
    const count = pairs[step * n + rank]!;
    if (count === 0) return ready;
    const block = blockAt(n, step, rank);
    // The own block is on the device, and its own share of the gradient stays there.
    const [up, down] = step === 0 ? [0, 0] : [bytesOf(KEYS, block), backward ? bytesOf(SUMS, block) : 0];
    const arithmetic = count * perPair;
    busy += arithmetic;
    let at = tell(rank, step, "upload", Math.max(ready, free[rank]!), up / busBytes, up);
    at = tell(rank, step, "compute", at, arithmetic + stepSeconds, 0);
    return (free[rank] = tell(rank, step, "read", at, down / busBytes, down));
  };

  /** Sends from when the link is free; when it has arrived. */
  const send = (kind: number, step: number, rank: number, ready: number): number => {
    const block = blockAt(n, step, rank);
    if (!sends(kind, step, block)) return ready;
    const size = bytesOf(kind, block);
    bytes += size;
    return (free[n + rank] = tell(rank, kind === KEYS ? step + 1 : step, "transfer", Math.max(ready, free[n + rank]!), latency + size / linkBytes, size));
  };

  const start = (id: number): void => {
    const kind = Math.floor(id / cells);
    const [step, rank] = [Math.floor((id % cells) / n), id % n];
    const end = kind === COMPUTE ? compute(step, rank, queue.now) : send(kind, step, rank, queue.now);
    queue.add(end, id);
  };
  const one = (kind: number, step: number, rank: number): void => {
    const id = idOf(kind, step, rank);
    const left = (waiting[id] = waiting[id]! - 1);
    if (left === 0) start(id);
  };

  for (let rank = 0; rank < n; rank++) {
    if (n > 1) start(idOf(KEYS, 0, rank));
    start(idOf(COMPUTE, 0, rank));
  }
  while (queue.size > 0) {
    const id = queue.take();
    const kind = Math.floor(id / cells);
    const [step, rank] = [Math.floor((id % cells) / n), id % n];
    const [before, after] = [(rank - 1 + n) % n, next(rank)];
    const block = blockAt(n, step, rank);
    if (kind === COMPUTE) {
      if (pairs[step * n + rank]! > 0) finished[rank] = Math.max(finished[rank]!, queue.now);
      if (step + 2 < n) one(KEYS, step + 1, before);
      if (step + 1 < n) one(COMPUTE, step + 1, rank);
      if (backward) one(SUMS, step, rank);
    } else if (kind === KEYS) {
      if (step + 2 < n) {
        one(KEYS, step + 1, after);
        one(KEYS, step + 1, rank);
        one(KEYS, step + 1, before);
      }
      one(COMPUTE, step + 1, after);
    } else {
      if (sends(SUMS, step, block) && step === travels[block]!.last) finished[block] = Math.max(finished[block]!, queue.now);
      if (step + 1 < n) {
        one(SUMS, step + 1, after);
        one(SUMS, step + 1, before);
      }
    }
  }
  const seconds = finished.reduce((a, b) => Math.max(a, b), 0);
  return { seconds, finished, utilisation: busy / (n * seconds), bytes, timelines: events.map((of, rank) => ({ rank, events: of })) };
}
