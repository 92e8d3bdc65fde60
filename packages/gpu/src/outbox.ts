/** Bytes that go to a buffer ahead of the commands they stand with. */
export interface BufferWrite {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly data: ArrayBuffer;
  /** How many, from the start of `data`. */
  readonly bytes: number;
}

/** Commands as they are sent: the writes, then the commands. */
export interface CommandBatch {
  readonly writes: readonly BufferWrite[];
  readonly commands: GPUCommandBuffer;
  /** Called right after the submit. */
  readonly sent?: (() => void) | undefined;
}

/** Work of the host's that has its place among the commands. */
export type OutboxStep = () => void | Promise<void>;

interface Mark {
  reached(): void;
  failed(error: unknown): void;
}

type Item = { readonly batch: CommandBatch } | { readonly step: OutboxStep } | { readonly mark: Mark };

/**
 * What leaves for the device, in order. As long as no step is unfinished, a batch is sent at once; behind an unfinished one it
 * waits, with a copy of its writes. When a step fails, everything behind it is dropped, and whoever waits behind it is told.
 */
export class Outbox {
  submits = 0;
  readonly #queue: GPUQueue;
  /** Takes the failure of a step that nobody waits for. */
  readonly #report: (error: unknown) => void;
  readonly #waiting: Item[] = [];
  readonly #whenIdle: (() => void)[] = [];
  #draining = false;

  constructor(queue: GPUQueue, report: (error: unknown) => void) {
    this.#queue = queue;
    this.#report = report;
  }

  /** Whether a step is unfinished, so that what is sent now waits. */
  get held(): boolean {
    return this.#draining;
  }

  send(batch: CommandBatch): void {
    if (!this.#draining) this.#submit(batch);
    else this.#waiting.push({ batch: { ...batch, writes: batch.writes.map((write) => ({ ...write, data: write.data.slice(0, write.bytes) })) } });
  }

  /** Runs `step` after everything sent so far has been submitted, and before everything sent later is. */
  step(step: OutboxStep): void {
    this.#waiting.push({ step });
    if (!this.#draining) void this.#drain();
  }

  /** Resolves when everything sent so far has been submitted; undefined where it has. @throws what a step on the way threw. */
  sent(): Promise<void> | undefined {
    if (!this.#draining) return undefined;
    return new Promise((reached, failed: (error: unknown) => void) => { this.#waiting.push({ mark: { reached, failed } }); });
  }

  /** Calls `work` now, or when nothing waits any more. */
  whenIdle(work: () => void): void {
    if (this.#draining) this.#whenIdle.push(work);
    else work();
  }

  /** Drops what waits; those who wait get `error`. */
  drop(error: unknown): void {
    const dropped = this.#waiting.splice(0);
    for (const item of dropped) if ("mark" in item) item.mark.failed(error);
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    try {
      for (let item = this.#waiting.shift(); item !== undefined; item = this.#waiting.shift()) {
        if ("batch" in item) this.#submit(item.batch);
        else if ("mark" in item) item.mark.reached();
        else {
          const pending = item.step();
          if (pending !== undefined) await pending;
        }
      }
    } catch (error) {
      const heard = this.#waiting.some((item) => "mark" in item);
      this.drop(error);
      if (!heard) this.#report(error);
    } finally {
      this.#draining = false;
      for (const work of this.#whenIdle.splice(0)) work();
    }
  }

  #submit({ writes, commands, sent }: CommandBatch): void {
    for (const { buffer, offset, data, bytes } of writes) this.#queue.writeBuffer(buffer, offset, data, 0, bytes);
    this.#queue.submit([commands]);
    sent?.();
    this.submits++;
  }
}
