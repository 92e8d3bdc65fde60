import { Circulation, Homecoming, RingSchedule } from "@polyhead/attn-ring/exchange";
import { flopsPerPair, simulateRing, stepTimes, type RingProblem } from "@polyhead/attn-ring/planning";
import { localCommunicators } from "@polyhead/comm-local";
import { full, type Communicator } from "@polyhead/core";
import { throttled, until } from "./throttled.ts";

/** A ring whose device is a timer and whose link is slow. */
export interface OverlapCase {
  readonly name: string;
  readonly phase: "forward" | "backward";
  readonly ranks: number;
  /** Milliseconds that a step computes. */
  readonly compute: number;
  /** Milliseconds that a block is on the wire. */
  readonly transfer: number;
}

/** Rows of one rank; a row of k and v together has 16 numbers. */
const ROWS = 256;
const NUMBERS = 16 * ROWS;

export const overlapCases: readonly OverlapCase[] = (["forward", "backward"] as const).flatMap((phase) =>
  ([[4, 40, 10], [4, 40, 40], [4, 40, 80], [4, 10, 80], [8, 25, 50]] as const).map(([ranks, compute, transfer]) => ({ name: `overlap ${phase} ${ranks} ranks, compute ${compute} ms, transfer ${transfer} ms`, phase, ranks, compute, transfer })),
);

/** Milliseconds by the law T = (n − 1) · max(t_c, t_n) + t_c, and by a simulation of the events. */
export interface Predicted {
  readonly law: number;
  readonly simulated: number;
}

/** What the planner says: in backward the law is a little short where compute and link are equally slow, and the simulation is not. */
export function predictOverlap({ phase, ranks, compute, transfer }: OverlapCase): Predicted {
  const problem: RingProblem = { ranks, tokens: ranks * ROWS, heads: 1, kvHeads: 1, headDim: NUMBERS / ROWS / 2, elementBytes: 4, mask: full(), layout: "contiguous" };
  const machine = { flops: (ROWS ** 2 * flopsPerPair(problem, phase) * 1000) / compute, linkBytes: bytesPerSecond(transfer) };
  return { law: stepTimes(problem, machine, phase).total * 1000, simulated: simulateRing(problem, machine, phase).seconds * 1000 };
}

const bytesPerSecond = (transfer: number): number => (NUMBERS * 4 * 1000) / transfer;

/** Milliseconds that the slowest rank took. */
export async function measureOverlap({ phase, ranks, compute, transfer }: OverlapCase): Promise<number> {
  const schedule = new RingSchedule({ layout: "contiguous", ranks, mask: full(), batch: 1, heads: 1, queries: ranks * ROWS, keys: ranks * ROWS, qOffset: 0, kvOffset: 0 });
  const communicators = localCommunicators(ranks);
  const times = await Promise.all(communicators.map(async (plain) => {
    const communicator = throttled(plain, bytesPerSecond(transfer));
    await communicator.barrier();
    const start = performance.now();
    await (phase === "forward" ? forward(communicator, schedule, compute) : backward(communicator, schedule, compute));
    return performance.now() - start;
  }));
  await Promise.all(communicators.map((communicator) => communicator.close()));
  return Math.max(...times);
}

/** A device that does one step after the other. */
function timerDevice(compute: number): () => Promise<void> {
  let free = performance.now();
  return () => until((free = Math.max(free, performance.now()) + compute));
}

async function forward(communicator: Communicator, schedule: RingSchedule, compute: number): Promise<void> {
  const circulation = new Circulation({ communicator, schedule, bytesOf: () => NUMBERS * 4 });
  const step = timerDevice(compute);
  circulation.begin(() => Promise.resolve());
  await step();
  for (let i = 1; i <= schedule.steps; i++) {
    await circulation.next();
    await step();
  }
}

async function backward(communicator: Communicator, schedule: RingSchedule, compute: number): Promise<void> {
  const circulation = new Circulation({ communicator, schedule, bytesOf: () => NUMBERS * 4 });
  const homecoming = new Homecoming({ communicator, schedule, sizeOf: () => NUMBERS });
  const share = new Float32Array(NUMBERS);
  const step = timerDevice(compute);
  homecoming.begin();
  circulation.begin(() => Promise.resolve());
  await step();
  // A share is added and sent while the next step computes.
  let passing: Promise<void> = Promise.resolve();
  for (let i = 1; i <= schedule.steps; i++) {
    await circulation.next();
    await homecoming.expect(i);
    await step();
    await passing;
    passing = homecoming.pass(i, share);
  }
  await passing;
  await homecoming.home();
}
