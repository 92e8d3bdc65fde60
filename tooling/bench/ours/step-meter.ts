import type { Gpu } from "@polyhead/gpu";
import { median } from "../race.ts";

/** What a step is measured by: the counters of a `Gpu`. */
export type Counted = Pick<Gpu, "stats">;

interface Sample {
  readonly dispatches: number;
  readonly recordMs: number;
  readonly buffers: number;
  readonly bindGroups: number;
}

export interface StepMeter {
  /**
   * One step: `record` runs on the main thread and is timed as JavaScript; `finish` waits for the GPU and is not, but
   * what it allocates counts.
   */
  step<T, R>(record: () => T, finish: (recorded: T) => Promise<R>): Promise<R>;
  /** Medians of the second half of the steps; for allocations their maximum, since a steady state makes none. */
  facts(): Record<string, number>;
}

/** Counts what our training step costs beside its time. */
export function stepMeter(gpu: Counted, clock: () => number = () => performance.now()): StepMeter {
  const samples: Sample[] = [];
  return {
    async step(record, finish) {
      const before = gpu.stats;
      const start = clock();
      const recorded = record();
      const recordMs = clock() - start;
      const result = await finish(recorded);
      const after = gpu.stats;
      samples.push({
        dispatches: after.dispatches - before.dispatches,
        recordMs,
        buffers: after.buffers - before.buffers,
        bindGroups: after.bindGroups - before.bindGroups,
      });
      return result;
    },
    facts() {
      const steady = samples.slice(Math.floor(samples.length / 2));
      return {
        "dispatches/step": median(steady.map((sample) => sample.dispatches)),
        "JavaScript ms/step": median(steady.map(({ recordMs }) => recordMs)),
        "JavaScript µs/dispatch": median(steady.map(({ recordMs, dispatches }) => (1000 * recordMs) / dispatches)),
        "peak bytes": gpu.stats.peakBytes,
        "new buffers/step": Math.max(...steady.map((sample) => sample.buffers)),
        "new bind groups/step": Math.max(...steady.map((sample) => sample.bindGroups)),
      };
    },
  };
}
