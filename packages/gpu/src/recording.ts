import type { BufferHold } from "./hold.ts";
import type { ParamType } from "./kernel.ts";
import type { LiveNumber } from "./live.ts";
import type { BufferWrite } from "./outbox.ts";
import type { UniformSlots } from "./uniforms.ts";
import { Usage } from "./usage.ts";

export interface RecordedDispatch {
  /** Undefined where the pass has it set already. */
  readonly pipeline: GPUComputePipeline | undefined;
  readonly group: GPUBindGroup;
  /** Where its scalars are, in bytes, as `setBindGroup` takes them; undefined for a kernel without any. */
  readonly offsets: readonly number[] | undefined;
  readonly x: number;
  readonly y: number;
  readonly z: number;
}

export interface RecordedPass {
  readonly dispatches: readonly RecordedDispatch[];
}

export interface RecordedCopy {
  readonly from: GPUBuffer;
  readonly fromOffset: number;
  readonly to: GPUBuffer;
  readonly toOffset: number;
  readonly bytes: number;
}

/** A number that every replay reads once, and the words of the uniform slots that take it. */
export interface LiveScalar {
  readonly number: LiveNumber;
  readonly targets: readonly { readonly word: number; readonly type: ParamType }[];
}

export interface RecordedWork {
  readonly hold: BufferHold;
  readonly parts: readonly (RecordedPass | RecordedCopy)[];
  readonly slots: UniformSlots;
  /** Length of the front part of `slots` in which live numbers stand. */
  readonly liveBytes: number;
  readonly live: readonly LiveScalar[];
  readonly dispatches: number;
}

/** What a recording needs of the `Gpu` that made it. */
export interface RecordingHost {
  readonly device: GPUDevice;
  bindUniforms(buffer: GPUBuffer): GPUBindGroup;
  replay(recording: Recording): void;
  release(hold: BufferHold): void;
  /** Destroys `buffer` once nothing that was sent can need it any more. */
  destroy(buffer: GPUBuffer): void;
}

/**
 * Work that runs again without the JavaScript that put it together: see `Gpu.record`. It owns the buffers that the work took,
 * and keeps those that it only touches (weights, inputs, caches) from being handed to anybody else, until `dispose`.
 */
export class Recording {
  /** Kernel runs in one replay. */
  readonly dispatches: number;
  /** Memory that was taken while recording, in bytes. */
  readonly bytes: number;
  readonly #host: RecordingHost;
  readonly #work: RecordedWork;
  readonly #uniforms: GPUBuffer | undefined;
  readonly #uniformGroup: GPUBindGroup | undefined;
  #disposed = false;

  /** Made by `Gpu.record`. */
  constructor(host: RecordingHost, work: RecordedWork) {
    this.#host = host;
    this.#work = work;
    this.dispatches = work.dispatches;
    this.bytes = work.hold.ownBytes;
    const size = work.slots.bytes.byteLength;
    if (size === 0) return;
    this.#uniforms = host.device.createBuffer({ label: "params of a recording", size, usage: Usage.UNIFORM | Usage.COPY_DST });
    this.#uniformGroup = host.bindUniforms(this.#uniforms);
    host.device.queue.writeBuffer(this.#uniforms, 0, work.slots.bytes);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * Runs the recorded work once more, after everything recorded or replayed so far; live numbers are read now. It is sent like
   * any other dispatch: on read, by the next replay, or by `flush`.
   *
   * @throws GpuError `GPU_REPLAY` after `dispose`, within `record`, or while a profile runs; `GPU_DEVICE_LOST`.
   */
  replay(): void {
    this.#host.replay(this);
  }

  /** Gives the memory back. Buffers that tensors still hold go on as ordinary ones. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#host.release(this.#work.hold);
    if (this.#uniforms !== undefined) this.#host.destroy(this.#uniforms);
  }

  /** For `Gpu` alone: encodes everything. Returns the live numbers, to be written ahead of it. */
  encode(encoder: GPUCommandEncoder): BufferWrite[] {
    const { live, slots, liveBytes, parts } = this.#work;
    for (const { number, targets } of live) {
      const { value } = number;
      for (const { word, type } of targets) slots.put(word, type, value);
    }
    for (const part of parts) {
      if ("dispatches" in part) this.#encodePass(encoder.beginComputePass(), part);
      else encoder.copyBufferToBuffer(part.from, part.fromOffset, part.to, part.toOffset, part.bytes);
    }
    return liveBytes > 0 ? [{ buffer: this.#uniforms!, offset: 0, data: slots.bytes, bytes: liveBytes }] : [];
  }

  #encodePass(pass: GPUComputePassEncoder, { dispatches }: RecordedPass): void {
    const uniformGroup = this.#uniformGroup!;
    for (const { pipeline, group, offsets, x, y, z } of dispatches) {
      if (pipeline !== undefined) pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      if (offsets !== undefined) pass.setBindGroup(1, uniformGroup, offsets);
      pass.dispatchWorkgroups(x, y, z);
    }
    pass.end();
  }
}
