import type { Communicator } from "@polyhead/core";
import type { RingSchedule } from "./schedule.ts";

/** Keys and values go around under this tag, sums of their gradients under the next, and home under the third. */
export const TAG = { blocks: 1, sums: 2, home: 3, heads: 4 } as const;

/** Called when a message has been sent or received, with the milliseconds of `performance.now()`. */
export type TransferObserver = (transfer: { readonly step: number; readonly start: number; readonly end: number; readonly bytes: number }) => void;

export interface CirculationOptions {
  readonly communicator: Communicator;
  readonly schedule: RingSchedule;
  /** Bytes of a block on the wire. */
  readonly bytesOf: (block: number) => number;
  readonly observe?: TransferObserver | undefined;
}

/**
 * The blocks on their way around the ring, in host memory: two buffers, of which one is read and sent on while the next block
 * arrives in the other. It knows nothing of what the blocks hold, nor of any device.
 */
export class Circulation {
  readonly #options: CirculationOptions;
  #buffers: readonly Uint8Array[] = [];
  #held = 0;
  #step = 0;
  #pending: Promise<void> | undefined;

  constructor(options: CirculationOptions) {
    this.#options = options;
  }

  /** Whether this rank sends its own block to anybody. */
  get sendsOwn(): boolean {
    return this.#goesOn(this.#options.communicator.rank, 1);
  }

  /** Starts the first hop, once `fill` has put this rank's own block where it is told. */
  begin(fill: (into: Uint8Array) => Promise<void>): void {
    const { schedule, bytesOf } = this.#options;
    const most = Math.max(...Array.from({ length: schedule.ranks }, (_, block) => bytesOf(block)));
    this.#buffers = [new Uint8Array(most), new Uint8Array(most)];
    const own = this.#block(0, this.#options.communicator.rank);
    this.#pending = (this.sendsOwn ? fill(own) : Promise.resolve()).then(() => this.#exchange(1));
    this.#pending.catch(() => undefined); // whoever takes the next block is told
  }

  /** The block of the next step, undefined where none comes by; it may be read until the next call. Starts the hop after it. */
  async next(): Promise<Uint8Array | undefined> {
    await this.#pending;
    const { schedule, communicator: { rank } } = this.#options;
    const step = ++this.#step;
    const block = schedule.blockAt(step, rank);
    const arrived = this.#goesOn(block, step);
    this.#held = 1 - this.#held;
    this.#pending = this.#exchange(step + 1);
    this.#pending.catch(() => undefined);
    return arrived ? this.#block(this.#held, block) : undefined;
  }

  /** Whether a block makes a hop. */
  #goesOn(block: number, step: number): boolean {
    return step <= this.#options.schedule.travel(block).last;
  }

  #block(buffer: number, block: number): Uint8Array {
    return this.#buffers[buffer]!.subarray(0, this.#options.bytesOf(block));
  }

  async #exchange(step: number): Promise<void> {
    const { communicator, schedule, observe } = this.#options;
    const { rank, size } = communicator;
    const [leaving, coming] = [schedule.blockAt(step - 1, rank), schedule.blockAt(step, rank)];
    const send = step < size && this.#goesOn(leaving, step) ? { data: this.#block(this.#held, leaving), to: (rank + 1) % size } : undefined;
    const receive = step < size && this.#goesOn(coming, step) ? { into: this.#block(1 - this.#held, coming), from: (rank - 1 + size) % size } : undefined;
    if (send === undefined && receive === undefined) return;
    const start = performance.now();
    await communicator.sendrecv({ ...(send && { send }), ...(receive && { receive }), tag: TAG.blocks }).wait();
    observe?.({ step, start, end: performance.now(), bytes: send?.data.byteLength ?? 0 });
  }
}
