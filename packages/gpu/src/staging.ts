import { bucketBytes } from "./pool.ts";
import { Usage } from "./usage.ts";

/** Buffers that results are copied to and mapped from, kept by size: reading a loss every step allocates nothing. */
export class StagingBuffers {
  readonly #device: GPUDevice;
  readonly #waiting = new Map<number, GPUBuffer[]>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  take(bytes: number): GPUBuffer {
    const size = bucketBytes(bytes);
    return this.#waiting.get(size)?.pop() ?? this.#device.createBuffer({ label: "staging", size, usage: Usage.MAP_READ | Usage.COPY_DST });
  }

  /** Takes back an unmapped buffer. */
  give(buffer: GPUBuffer): void {
    const waiting = this.#waiting.get(buffer.size);
    if (waiting === undefined) this.#waiting.set(buffer.size, [buffer]);
    else waiting.push(buffer);
  }
}
