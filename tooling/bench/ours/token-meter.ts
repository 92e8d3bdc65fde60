import { median } from "../race.ts";
import type { Counted } from "./step-meter.ts";

export interface TokenMeter {
  /** One token's work on the main thread: all of it is JavaScript, since nothing in it waits. */
  token(record: () => void): void;
  /** Medians of the second half. */
  figures(): { readonly jsMicroseconds: number };
  facts(): Record<string, number>;
}

/** Counts what JavaScript costs a token: the time until its commands are with the device. */
export function tokenMeter(gpu: Counted, clock: () => number = () => performance.now()): TokenMeter {
  const samples: { readonly microseconds: number; readonly dispatches: number }[] = [];
  const steady = (): typeof samples => samples.slice(Math.floor(samples.length / 2));
  return {
    token(record) {
      const { dispatches } = gpu.stats;
      const start = clock();
      record();
      samples.push({ microseconds: 1000 * (clock() - start), dispatches: gpu.stats.dispatches - dispatches });
    },
    figures: () => ({ jsMicroseconds: median(steady().map(({ microseconds }) => microseconds)) }),
    facts: () => ({ "dispatches/token": median(steady().map(({ dispatches }) => dispatches)) }),
  };
}
