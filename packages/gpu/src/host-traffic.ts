import type { Failures } from "./failures.ts";
import type { BufferSlice } from "./pool.ts";
import { StagingBuffers, wholeWords, type Bytes } from "./staging.ts";
import { MAP_MODE_READ } from "./usage.ts";

/** Bytes between host and device, at once: whoever calls sees to the order. */
export class HostTraffic {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #onWait: (() => () => void) | undefined;
  readonly #staging: StagingBuffers;

  constructor(device: GPUDevice, failures: Failures, onWait: (() => () => void) | undefined) {
    this.#device = device;
    this.#failures = failures;
    this.#onWait = onWait;
    this.#staging = new StagingBuffers(device);
  }

  write(to: BufferSlice, data: Bytes): void {
    this.#failures.check();
    const { buffer, byteOffset, byteLength } = wholeWords(data);
    this.#device.queue.writeBuffer(to.buffer.buffer, to.offset, buffer, byteOffset, byteLength);
  }

  async read(from: BufferSlice): Promise<ArrayBuffer> {
    this.#failures.check();
    const staging = this.stagingFor(from);
    const encoder = this.#device.createCommandEncoder();
    encoder.copyBufferToBuffer(from.buffer.buffer, from.offset, staging, 0, wordsOf(from));
    this.#device.queue.submit([encoder.finish()]);
    return this.arrival(from, staging);
  }

  /** Where to copy a slice, {@link wordsOf} bytes of it. */
  stagingFor(from: BufferSlice): GPUBuffer {
    return this.#staging.take(wordsOf(from));
  }

  /** The bytes that a copy to `staging`, which was sent, has brought from `from`. */
  async arrival(from: BufferSlice, staging: GPUBuffer): Promise<ArrayBuffer> {
    const bytes = wordsOf(from);
    await this.wait(staging.mapAsync(MAP_MODE_READ, 0, bytes));
    const copy = staging.getMappedRange(0, bytes).slice(0, from.size);
    staging.unmap();
    this.#staging.give(staging);
    await this.#failures.settle();
    return copy;
  }

  /** Resolves when the device has run everything that was submitted. */
  finished(): Promise<void> {
    return this.wait(this.#device.queue.onSubmittedWorkDone());
  }

  async wait(work: Promise<undefined>): Promise<void> {
    const done = this.#onWait?.();
    try {
      await this.#failures.unlessLost(work);
    } finally {
      done?.();
    }
  }
}

/** Of a slice, in whole 32-bit words: what can be copied. */
export const wordsOf = ({ size }: BufferSlice): number => Math.ceil(size / 4) * 4;
