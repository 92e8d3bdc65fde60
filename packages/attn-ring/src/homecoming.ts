import type { Communicator, Transfer } from "@polyhead/core";
import { TAG, type TransferObserver } from "./circulation.ts";
import type { RingSchedule } from "./schedule.ts";

export interface HomecomingOptions {
  readonly communicator: Communicator;
  readonly schedule: RingSchedule;
  /** Numbers in the gradient of a block. */
  readonly sizeOf: (block: number) => number;
  readonly observe?: TransferObserver | undefined;
}

interface Hop {
  readonly sum: Float32Array;
  readonly arrival: Transfer | undefined;
}

/**
 * The sums of the gradients of blocks, in host memory, on their way behind the blocks and then home. Each rank on the way
 * adds its share, always in the order of the ring, so that the sum has the same bits in every run.
 */
export class Homecoming {
  readonly #options: HomecomingOptions;
  /** One is received into while the other is still being sent. */
  #buffers: readonly Float32Array[] = [];
  readonly #hops = new Map<number, Hop>();
  readonly #sending: (Promise<void> | undefined)[] = [undefined, undefined];
  #own: { readonly sum: Float32Array; readonly arrival: Transfer } | undefined;

  constructor(options: HomecomingOptions) {
    this.#options = options;
  }

  /** To be called before the first step. */
  begin(): void {
    const { communicator, schedule, sizeOf } = this.#options;
    const { rank, size } = communicator;
    const most = Math.max(...Array.from({ length: size }, (_, block) => sizeOf(block)));
    this.#buffers = [new Float32Array(most), new Float32Array(most)];
    const { last } = schedule.travel(rank);
    if (last === 0) return;
    const sum = new Float32Array(sizeOf(rank));
    this.#own = { sum, arrival: communicator.sendrecv({ receive: { into: sum, from: (rank + last) % size }, tag: TAG.home }) };
  }

  /** Makes ready for the sum that comes after the block of a step. */
  async expect(step: number): Promise<void> {
    const { communicator, schedule, sizeOf } = this.#options;
    const { rank, size } = communicator;
    const block = schedule.blockAt(step, rank);
    const { first, last } = schedule.travel(block);
    if (first === 0 || step < first || step > last) return;
    await this.#sending[step % 2];
    const sum = this.#buffers[step % 2]!.subarray(0, sizeOf(block));
    const arrival = step > first ? communicator.sendrecv({ receive: { into: sum, from: (rank - 1 + size) % size }, tag: TAG.sums }) : undefined;
    this.#hops.set(step, { sum, arrival });
  }

  /** Adds this rank's share, where it has one, and sends the sum on. */
  async pass(step: number, share: Float32Array | undefined): Promise<void> {
    const hop = this.#hops.get(step);
    if (hop === undefined) return;
    this.#hops.delete(step);
    const { communicator, schedule, observe } = this.#options;
    const { rank, size } = communicator;
    const { sum, arrival } = hop;
    await arrival?.wait();
    if (arrival === undefined) sum.set(share!); // the first rank on the way has one
    else if (share !== undefined) for (let i = 0; i < sum.length; i++) sum[i]! += share[i]!;
    const block = schedule.blockAt(step, rank);
    const start = performance.now();
    const leaving = communicator.sendrecv(step < schedule.travel(block).last ? { send: { data: sum, to: (rank + 1) % size }, tag: TAG.sums } : { send: { data: sum, to: block }, tag: TAG.home }).wait();
    this.#sending[step % 2] = leaving;
    leaving.then(() => observe?.({ step, start, end: performance.now(), bytes: sum.byteLength }), () => undefined); // whoever needs the buffer is told
  }

  /** What other ranks found for this rank's own block; undefined where no other needs it. */
  async home(): Promise<Float32Array | undefined> {
    await this.#own?.arrival.wait();
    for (const sending of this.#sending) await sending;
    return this.#own?.sum;
  }
}
