import type { Communicator } from "@polyhead/core";
import { positionsOf, type RingEvent, type RingPhase } from "@polyhead/attn-ring";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Engine } from "@polyhead/tensor";
import { alone, phasesOf, ringPart, type Attention } from "./attention.ts";
import type { Options } from "./arguments.ts";
import { gatherJson, gatherRows } from "./gather.ts";
import { wholeOf } from "./rows.ts";

/** What one rank has to tell. */
export interface RankReport {
  readonly rank: number;
  readonly adapter: string;
  readonly tokens: number;
  readonly ms: Partial<Record<RingPhase, number>>;
  readonly sentBytes: Partial<Record<RingPhase, number>>;
  /** Most bytes that tensors held at once on the device. */
  readonly peakBytes: number;
  readonly events: readonly RingEvent[];
}

/** Largest difference from one device that holds everything, relative to its largest number, by what is compared. */
export type Errors = Readonly<Record<string, number>>;

export interface RunReport {
  readonly ranks: readonly RankReport[];
  readonly errors?: Errors;
}

/** The program of one rank. All ranks run it; rank 0 gets what there is to tell. */
export async function runRank(communicator: Communicator, options: Options): Promise<RunReport | undefined> {
  try {
    const gpu = await openNodeGpu();
    try {
      return await measure(communicator, createEngine(gpu), options);
    } finally {
      gpu.dispose();
    }
  } catch (error) {
    // The others would wait for this one until their time is over.
    communicator.abort(error instanceof Error ? error.message : String(error));
    throw error;
  }
}

async function measure(communicator: Communicator, engine: Engine, options: Options): Promise<RunReport | undefined> {
  const { rank, size } = communicator;
  const { gpu } = engine;
  const positions = positionsOf(options.layout, rank, size, options.seq);
  let events: RingEvent[] = [];
  const part = ringPart(engine, communicator, positions, options, (event) => { events.push(event); });
  const phases = phasesOf(options);

  const repetitions: Pick<RankReport, "ms" | "sentBytes" | "events">[] = [];
  // The first one compiles, and is not counted.
  for (let i = 0; i <= options.repeat; i++) {
    const told: RingEvent[] = [];
    const [ms, sentBytes]: [Partial<Record<RingPhase, number>>, Partial<Record<RingPhase, number>>] = [{}, {}];
    gpu.pool.peakBytes = gpu.stats.liveBytes;
    for (const phase of phases) {
      events = [];
      const before = communicator.traffic.sentBytes;
      await communicator.barrier();
      const start = performance.now();
      await part[phase]();
      ms[phase] = performance.now() - start;
      sentBytes[phase] = communicator.traffic.sentBytes - before;
      // Each process has a clock of its own: the barrier is their common zero.
      told.push(...events.map((event) => ({ ...event, start: event.start - start, end: event.end - start })));
    }
    repetitions.push({ ms, sentBytes, events: told });
  }
  const peakBytes = gpu.stats.peakBytes;
  // The repetition whose slowest rank was fastest.
  const slowest = Float64Array.from(repetitions.slice(1), ({ ms }) => phases.reduce((sum, phase) => sum + ms[phase]!, 0));
  await communicator.allReduce(slowest, "max").wait();
  const best = repetitions[1 + slowest.indexOf(Math.min(...slowest))]!;
  const ranks = await gatherJson<RankReport>(communicator, { rank, adapter: gpu.info.description || gpu.info.key, tokens: positions.length, peakBytes, ...best });
  const errors = options.check ? await compare(communicator, engine, part, options) : undefined;
  part.release();
  return ranks && { ranks, ...(errors && { errors }) };
}

/** Compares with one device, on rank 0. */
async function compare(communicator: Communicator, engine: Engine, part: Attention, options: Options): Promise<Errors | undefined> {
  const { layout, seq, headDim, heads, kvHeads } = options;
  const found = await part.read();
  const wholes: Record<string, Float32Array> = {};
  for (const [name, rows] of Object.entries(found)) {
    const shape = { heads: name === "dk" || name === "dv" ? kvHeads : heads, headDim, seq };
    const parts = await gatherRows(communicator, rows, (rank) => shape.heads * positionsOf(layout, rank, communicator.size, seq).length * headDim);
    if (parts !== undefined) wholes[name] = wholeOf(parts, layout, shape);
  }
  if (communicator.rank !== 0) return undefined;
  const single = alone(engine, options);
  await single.forward();
  if (options.backward) await single.backward();
  const wanted = await single.read();
  single.release();
  return Object.fromEntries(Object.entries(wanted).map(([name, want]) => [name, difference(wholes[name]!, want)]));
}

function difference(got: Float32Array, want: Float32Array): number {
  let [worst, most] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    worst = Math.max(worst, Math.abs(got[i]! - want[i]!));
    most = Math.max(most, Math.abs(want[i]!));
  }
  // A NaN stays one through Math.max, and no limit lets it pass.
  return worst / most;
}
