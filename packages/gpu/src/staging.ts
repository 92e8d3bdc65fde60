import { bucketBytes } from "./pool.ts";
import { Usage } from "./usage.ts";

export type Bytes = Float32Array | Uint32Array | Int32Array | Uint16Array | Uint8Array;

/** The same bytes, padded to a multiple of 4: `queue.writeBuffer` takes no others. */
export function wholeWords(data: Bytes): Bytes {
  const { buffer, byteOffset, byteLength } = data;
  if (byteLength % 4 === 0) return data;
  const padded = new Uint8Array(Math.ceil(byteLength / 4) * 4);
  padded.set(new Uint8Array(buffer, byteOffset, byteLength));
  return padded;
}

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
