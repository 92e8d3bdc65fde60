import { Usage } from "./usage.ts";

/** Time that one kernel took, over all its dispatches. */
export interface ProfileRow {
  readonly kernel: string;
  readonly count: number;
  readonly ms: number;
}

const CAPACITY = 2048;

/** Timestamps around every dispatch. While it runs, each dispatch has a pass of its own. */
export class Profiler {
  readonly #querySet: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #device: GPUDevice;
  #names: string[] = [];
  #batches: Promise<void>[] = [];
  readonly #totals = new Map<string, { count: number; ns: number }>();

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#querySet = device.createQuerySet({ type: "timestamp", count: CAPACITY });
    this.#resolved = device.createBuffer({ size: CAPACITY * 8, usage: Usage.QUERY_RESOLVE | Usage.COPY_SRC });
  }

  get full(): boolean {
    return this.#names.length * 2 >= CAPACITY;
  }

  /** The timestamp slots of the next dispatch. */
  next(kernel: string): GPUComputePassTimestampWrites {
    const at = this.#names.push(kernel) * 2 - 2;
    return { querySet: this.#querySet, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
  }

  /** Records the copy of this batch's timestamps; call `submitted` right after the submit. */
  resolve(encoder: GPUCommandEncoder): (() => void) | undefined {
    const names = this.#names;
    if (names.length === 0) return undefined;
    this.#names = [];
    const bytes = names.length * 16;
    const staging = this.#device.createBuffer({ size: bytes, usage: Usage.MAP_READ | Usage.COPY_DST });
    encoder.resolveQuerySet(this.#querySet, 0, names.length * 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, bytes);
    return () => {
      this.#batches.push(
        staging.mapAsync(1).then(() => {
          const times = new BigUint64Array(staging.getMappedRange());
          names.forEach((name, i) => {
            const total = this.#totals.get(name) ?? { count: 0, ns: 0 };
            total.count++;
            total.ns += Math.max(0, Number(times[i * 2 + 1]! - times[i * 2]!));
            this.#totals.set(name, total);
          });
          staging.destroy();
        }),
      );
    };
  }

  /** Slowest kernel first. */
  async rows(): Promise<ProfileRow[]> {
    await Promise.all(this.#batches);
    return [...this.#totals]
      .map(([kernel, { count, ns }]) => ({ kernel, count, ms: ns / 1e6 }))
      .sort((a, b) => b.ms - a.ms);
  }

  destroy(): void {
    this.#querySet.destroy();
    this.#resolved.destroy();
  }
}

/** Prints profile rows as a table with each kernel's share of the time. */
export function profileTable(rows: readonly ProfileRow[]): string {
  const total = rows.reduce((sum, row) => sum + row.ms, 0);
  const width = Math.max(6, ...rows.map((row) => row.kernel.length));
  const line = (a: string, b: string, c: string, d: string, e: string): string => `${a.padEnd(width)} ${b.padStart(7)} ${c.padStart(10)} ${d.padStart(9)} ${e.padStart(6)}`;
  return [
    line("kernel", "count", "ms", "µs/call", "share"),
    ...rows.map(({ kernel, count, ms }) => line(kernel, String(count), ms.toFixed(2), ((ms * 1e3) / count).toFixed(1), `${((100 * ms) / (total || 1)).toFixed(1)}%`)),
    line("total", String(rows.reduce((sum, row) => sum + row.count, 0)), total.toFixed(2), "", ""),
  ].join("\n");
}
