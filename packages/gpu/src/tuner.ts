import { GpuError } from "./errors.ts";
import type { Gpu } from "./gpu.ts";

/** Measured choice among kernels that compute the same thing. */
export interface TuneRecord {
  readonly winner: string;
  /** Fastest first; the best of the rounds that each candidate lived through. */
  readonly timings: readonly { readonly candidate: string; readonly ms: number }[];
  /** Candidates without a time, and why. */
  readonly rejected: readonly { readonly candidate: string; readonly reason: string }[];
  readonly timer: "timestamp" | "wall";
}

/** Where records outlive the process. Keys name adapter, driver, kernel family and shape class. */
export interface TuneStore {
  get(key: string): TuneRecord | undefined;
  set(key: string, record: TuneRecord): void;
}

/** `off`: nothing is measured or looked up. `on`: measured once, then remembered. `force`: measured anew. */
export type TuneMode = "off" | "on" | "force";

export interface TunerOptions {
  readonly mode?: TuneMode;
  /** Default: memory alone. */
  readonly store?: TuneStore;
}

export interface TuneCandidate {
  readonly name: string;
  /** Records the dispatches to time. */
  readonly run: () => void;
  /** Why this device cannot run it; it is then not tried. */
  readonly unsupported?: string | undefined;
}

export interface TuneTask {
  /** Kernel family with a version ("matmul@1"): bump it when its kernels change. */
  readonly family: string;
  /** What a time is valid for, such as "nt m1024 n512 k128". */
  readonly shape: string;
  /** In the order in which to try them: the likely best first, since a budget may end the trial early. */
  readonly candidates: readonly TuneCandidate[];
}

export interface TuneRow extends TuneRecord {
  readonly family: string;
  readonly shape: string;
  readonly source: "measured" | "store";
}

const ROUNDS = 5;
/** A candidate this much slower than the leader does not come back within a round's noise. */
const HOPELESS = 1.5;
/** Shorter runs are repeated up to this, in ms, so that a timer's grain does not decide. */
const LONG_ENOUGH = 2;

/**
 * Times candidates on this very device and remembers the winner. Lookups are synchronous and never measure, so recording
 * goes on undisturbed; measuring is a step of its own, at start-up.
 */
export class Tuner {
  readonly mode: TuneMode;
  /** Grows whenever a choice may have changed. */
  version = 0;
  readonly #gpu: Gpu;
  readonly #store: TuneStore | undefined;
  readonly #known = new Map<string, TuneRow | undefined>();

  constructor(gpu: Gpu, { mode = "on", store }: TunerOptions = {}) {
    this.#gpu = gpu;
    this.mode = mode;
    this.#store = store;
  }

  /** The remembered record, or undefined where nothing was measured: the caller then takes its own default. */
  lookup(family: string, shape: string): TuneRow | undefined {
    if (this.mode === "off") return undefined;
    const key = this.#key(family, shape);
    if (this.#known.has(key)) return this.#known.get(key);
    const record = this.mode === "on" ? this.#store?.get(key) : undefined;
    const row = record && { ...record, family, shape, source: "store" as const };
    this.#known.set(key, row);
    return row;
  }

  /**
   * Measures a task that nothing is known about; in mode `off`, does nothing.
   *
   * @param budgetMs stops early after this long, with the best so far. Default: no bound.
   * @throws GpuError `GPU_UNSUPPORTED` when no candidate runs on this device.
   */
  async measure({ family, shape, candidates }: TuneTask, { budgetMs = Infinity }: { readonly budgetMs?: number } = {}): Promise<TuneRow | undefined> {
    if (this.mode === "off") return undefined;
    const known = this.lookup(family, shape);
    if (known !== undefined) return known;
    const deadline = performance.now() + budgetMs;
    const rejected: { candidate: string; reason: string }[] = [];
    const best = new Map<TuneCandidate, number>();
    const leader = (): number => Math.min(...best.values());
    await this.#gpu.settled();
    for (const candidate of candidates) {
      const { name } = candidate;
      const reason = candidate.unsupported ?? (best.size > 0 && performance.now() > deadline ? "no time left to try it" : await this.#warm(candidate, best));
      if (reason !== undefined) rejected.push({ candidate: name, reason });
    }
    if (best.size === 0) {
      const why = rejected.map((r) => `${r.candidate}: ${r.reason}`).join("; ");
      throw new GpuError("GPU_UNSUPPORTED", `no kernel of '${family}' runs for ${shape} on ${this.#gpu.info.description}: ${why}`, "lower the problem's needs, or use another adapter");
    }
    // Interleaved, so that a disturbance hits everybody; the minimum, since disturbances only ever add.
    for (let round = 0; round < ROUNDS && best.size > 1; round++) {
      for (const [candidate, ms] of [...best]) {
        if (ms > HOPELESS * leader() || performance.now() > deadline) continue;
        best.set(candidate, Math.min(ms, await this.#time(candidate, ms)));
      }
    }
    const timings = [...best].map(([{ name }, ms]) => ({ candidate: name, ms })).sort((a, b) => a.ms - b.ms);
    const record: TuneRecord = { winner: timings[0]!.candidate, timings, rejected, timer: this.#gpu.caps.timestamps ? "timestamp" : "wall" };
    const key = this.#key(family, shape);
    this.#store?.set(key, record);
    const row: TuneRow = { ...record, family, shape, source: "measured" };
    this.#known.set(key, row);
    this.version++;
    return row;
  }

  /** Everything that has been chosen here, with the numbers behind it. */
  explain(): TuneRow[] {
    return [...this.#known.values()].filter((row) => row !== undefined);
  }

  /** Compiles and times once. Returns why it failed, if it did. */
  async #warm(candidate: TuneCandidate, best: Map<TuneCandidate, number>): Promise<string | undefined> {
    try {
      candidate.run();
      await this.#gpu.settled();
      best.set(candidate, await this.#time(candidate, LONG_ENOUGH));
      return undefined;
    } catch (error) {
      if (!(error instanceof GpuError) || error.code === "GPU_DEVICE_LOST") throw error;
      return error.message;
    }
  }

  async #time({ run }: TuneCandidate, expected: number): Promise<number> {
    const repeats = Math.min(20, Math.max(1, Math.ceil(LONG_ENOUGH / Math.max(expected, 1e-3))));
    const gpu = this.#gpu;
    if (gpu.caps.timestamps) {
      gpu.startProfile();
      for (let i = 0; i < repeats; i++) run();
      const total = (await gpu.stopProfile()).reduce((sum, { ms }) => sum + ms, 0);
      return total / repeats;
    }
    await gpu.settled();
    const start = performance.now();
    for (let i = 0; i < repeats; i++) run();
    await gpu.settled();
    return (performance.now() - start) / repeats;
  }

  #key(family: string, shape: string): string {
    return `${this.#gpu.info.key} | ${family} | ${shape}`;
  }
}

const tuners = new WeakMap<Gpu, Tuner>();

/** The tuner of a device: one in memory, unless `useTuner` gave it another. */
export function tunerOf(gpu: Gpu): Tuner {
  return tuners.get(gpu) ?? useTuner(gpu);
}

/** Gives a device a tuner with this mode and store. Choices that were already dispatched stay as they are. */
export function useTuner(gpu: Gpu, options: TunerOptions = {}): Tuner {
  const tuner = new Tuner(gpu, options);
  tuners.set(gpu, tuner);
  return tuner;
}
