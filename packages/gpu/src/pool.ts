import { GpuError } from "./errors.ts";
import { BufferHold, insertById } from "./hold.ts";
import { Usage } from "./usage.ts";

/** A GPU buffer owned by the pool. `id` is small and never reused, so it can stand in cache keys. */
export interface PoolBuffer {
  readonly id: number;
  readonly bytes: number;
  readonly buffer: GPUBuffer;
}

/** A part of a buffer as a kernel sees it; offset and size in bytes. */
export interface BufferSlice {
  readonly buffer: PoolBuffer;
  readonly offset: number;
  readonly size: number;
}

/** Bindings must start at a multiple of this (WebGPU's default `minStorageBufferOffsetAlignment`). */
export const OFFSET_ALIGNMENT = 256;
const SMALLEST_BUCKET = 256;

/** Buckets are eighths of a power of two: at most 12.5 % of a buffer is unused. */
export function bucketBytes(bytes: number): number {
  if (bytes <= SMALLEST_BUCKET) return SMALLEST_BUCKET;
  const step = Math.max(SMALLEST_BUCKET, 2 ** (Math.ceil(Math.log2(bytes)) - 4));
  return Math.ceil(bytes / step) * step;
}

interface PoolHost {
  readonly device: GPUDevice;
  readonly maxBufferBytes: number;
  /** Called with the promise of an allocation's verdict: an out-of-memory surfaces at the next await, never as zeros. */
  watch(verdict: Promise<GpuError | undefined>): void;
}

/**
 * Buffers by size bucket. Reuse inside a recorded batch is safe, because dispatches run in the order in which they were recorded.
 * `take` hands out the lowest free id, so that a step which takes and gives in the same order gets the same buffers every time
 * and finds its bind groups cached.
 *
 * A buffer that a recording holds is handed to nobody else, given back or not, until the last such recording lets go of it;
 * until then its bytes count as live.
 */
export class BufferPool {
  liveBytes = 0;
  peakBytes = 0;
  /** Bytes held from the device, in use or waiting. */
  heldBytes = 0;
  /** Buffers ever created. */
  created = 0;
  readonly #host: PoolHost;
  readonly #free = new Map<number, PoolBuffer[]>();
  /** How many recordings hold a buffer. */
  readonly #holders = new Map<PoolBuffer, number>();
  /** Those of them that their users have given back. */
  readonly #given = new Set<PoolBuffer>();
  #recording: BufferHold | undefined;

  constructor(host: PoolHost) {
    this.#host = host;
  }

  /** @throws GpuError `GPU_TOO_LARGE` when the device cannot hold a buffer of this size. */
  take(bytes: number): PoolBuffer {
    const size = this.#sizeFor(bytes);
    const again = this.#recording?.takeAgain(size);
    if (again !== undefined) {
      this.#given.delete(again);
      return again;
    }
    const buffer = this.#free.get(size)?.pop() ?? this.#create(size);
    this.liveBytes += size;
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes);
    if (this.#recording !== undefined) this.#hold(this.#recording, buffer, true);
    return buffer;
  }

  give(buffer: PoolBuffer): void {
    if (this.#holders.has(buffer)) {
      this.#given.add(buffer);
      if (this.#recording?.has(buffer) === true) this.#recording.giveBack(buffer);
      return;
    }
    this.liveBytes -= buffer.bytes;
    let free = this.#free.get(buffer.bytes);
    if (free === undefined) this.#free.set(buffer.bytes, (free = []));
    insertById(free, buffer);
  }

  /** From here on, what is taken belongs to the recording that `hold` stands for; to nobody in particular when undefined. */
  takeFor(hold: BufferHold | undefined): void {
    this.#recording = hold;
  }

  /** Keeps what a recorded dispatch touches. */
  holdWhileRecording(buffer: PoolBuffer): void {
    if (this.#recording !== undefined) this.#hold(this.#recording, buffer, false);
  }

  /** Lets go of a recording's buffers: those that their users have given back are free again. */
  release(hold: BufferHold): void {
    const held = [...hold.held];
    hold.clear();
    for (const buffer of held) {
      const holders = this.#holders.get(buffer)! - 1;
      if (holders > 0) {
        this.#holders.set(buffer, holders);
        continue;
      }
      this.#holders.delete(buffer);
      if (this.#given.delete(buffer)) this.give(buffer);
    }
  }

  /** Gives waiting buffers back to the device. Returns their ids, for caches that mention them. */
  trim(): Set<number> {
    const dropped = new Set<number>();
    for (const free of this.#free.values()) {
      for (const { id, bytes, buffer } of free) {
        dropped.add(id);
        this.heldBytes -= bytes;
        buffer.destroy();
      }
    }
    this.#free.clear();
    return dropped;
  }

  #hold(hold: BufferHold, buffer: PoolBuffer, own: boolean): void {
    if (hold.add(buffer, own)) this.#holders.set(buffer, (this.#holders.get(buffer) ?? 0) + 1);
  }

  #sizeFor(bytes: number): number {
    const { maxBufferBytes } = this.#host;
    if (bytes > maxBufferBytes) {
      throw new GpuError("GPU_TOO_LARGE", `a buffer of ${bytes} bytes was asked for; this device allows ${maxBufferBytes}`, "use a smaller batch or context, or split the tensor");
    }
    // A bucket may pass the limit where the request itself does not.
    return Math.min(bucketBytes(bytes), maxBufferBytes);
  }

  #create(bytes: number): PoolBuffer {
    const { device } = this.#host;
    device.pushErrorScope("out-of-memory");
    const buffer = device.createBuffer({ size: bytes, usage: Usage.STORAGE | Usage.COPY_SRC | Usage.COPY_DST });
    const held = this.heldBytes;
    this.#host.watch(
      device.popErrorScope().then((error) =>
        error === null
          ? undefined
          : new GpuError(
              "GPU_OUT_OF_MEMORY",
              `the device could not allocate ${bytes} bytes beside the ${held} already held: ${error.message}`,
              "use a smaller model, batch or context, checkpoint activations, or close other users of the GPU",
            ),
      ),
    );
    this.heldBytes += bytes;
    return { id: this.created++, bytes, buffer };
  }
}
