import type { Failures } from "./failures.ts";
import { UNIFORM_SLOT_BYTES, type Kernel } from "./kernel.ts";
import type { Scalar } from "./live.ts";
import type { BufferWrite, Outbox } from "./outbox.ts";
import type { Compiled, Pipelines } from "./pipelines.ts";
import type { Profiler } from "./profiler.ts";
import type { Recording } from "./recording.ts";
import { UniformSlots } from "./uniforms.ts";

/** Dispatches gathered before they are sent: enough to amortise a submit, few enough that the device starts early. */
export const BATCH = 64;

/** The one open command encoder of a device. Dispatches, copies and replays gather in it until they are sent. */
export class Commands {
  dispatches = 0;
  replays = 0;
  /** While there is one, each dispatch has a pass of its own. */
  profiler: Profiler | undefined;
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #pipelines: Pipelines;
  readonly #outbox: Outbox;
  readonly #uniforms = new UniformSlots(BATCH);
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #bound: GPUComputePipeline | undefined;
  #slots = 0;
  /** Of replays. */
  #writes: BufferWrite[] = [];
  /** Whether the encoder holds a replay, whose scalars the next one would overwrite. */
  #replayWaits = false;

  constructor(device: GPUDevice, failures: Failures, pipelines: Pipelines, outbox: Outbox) {
    this.#device = device;
    this.#failures = failures;
    this.#pipelines = pipelines;
    this.#outbox = outbox;
  }

  /** Sends a full batch, so that there is room for one more. */
  makeRoom(): void {
    if (this.#slots === BATCH || this.profiler?.full === true) this.flush();
  }

  dispatch<P extends string>(kernel: Kernel<string, P>, { pipeline }: Compiled, group: GPUBindGroup, params: Readonly<Record<P, Scalar>>, x: number, y: number, z: number): void {
    const pass = this.#openPass(kernel.name);
    if (this.#bound !== pipeline) {
      pass.setPipeline(pipeline);
      this.#bound = pipeline;
    }
    pass.setBindGroup(0, group);
    if (kernel.params.length > 0) {
      this.#uniforms.set(this.#slots, kernel.params, params);
      pass.setBindGroup(1, this.#pipelines.uniformGroup, [this.#slots * UNIFORM_SLOT_BYTES]);
    }
    pass.dispatchWorkgroups(x, y, z);
    this.#slots++;
    this.dispatches++;
    if (this.profiler !== undefined) this.#closePass();
  }

  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): void {
    this.#openEncoder().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
  }

  replay(recording: Recording): void {
    this.#failures.check();
    this.sendReplay();
    this.#writes.push(...recording.encode(this.#openEncoder()));
    this.#replayWaits = true;
    this.dispatches += recording.dispatches;
    this.replays++;
  }

  /** Sends what has been gathered if a replay is part of it. */
  sendReplay(): void {
    if (this.#replayWaits) this.flush();
  }

  /** Sends what has been gathered. */
  flush(): void {
    this.#failures.check();
    const encoder = this.#encoder;
    if (encoder === undefined) return;
    this.#closePass();
    const sent = this.profiler?.resolve(encoder);
    // Writes run before the whole batch: hence a slot per dispatch, all written at once.
    const slots = this.#slots > 0 ? [{ buffer: this.#pipelines.uniforms, offset: 0, data: this.#uniforms.bytes, bytes: this.#slots * UNIFORM_SLOT_BYTES }] : [];
    this.#outbox.send({ writes: [...slots, ...this.#writes], commands: encoder.finish(), sent });
    this.#forget();
  }

  /** Drops what has been gathered: the device is going. */
  close(): void {
    this.#closePass();
    this.#forget();
  }

  #forget(): void {
    this.#encoder = undefined;
    this.#slots = 0;
    this.#writes = [];
    this.#replayWaits = false;
  }

  /** The encoder, outside of a pass. */
  #openEncoder(): GPUCommandEncoder {
    this.#closePass();
    return (this.#encoder ??= this.#device.createCommandEncoder());
  }

  #openPass(kernel: string): GPUComputePassEncoder {
    if (this.#pass === undefined) {
      this.#failures.check();
      this.#pass = this.#openEncoder().beginComputePass(this.profiler === undefined ? {} : { timestampWrites: this.profiler.next(kernel) });
    }
    return this.#pass;
  }

  #closePass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#bound = undefined;
  }
}
