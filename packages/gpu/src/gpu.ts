import { adapterLimits, readCaps, readInfo, wantedFeatures, type GpuCaps, type GpuInfo } from "./caps.ts";
import { GpuError } from "./errors.ts";
import { Failures } from "./failures.ts";
import { flatGrid, UNIFORM_SLOT_BYTES, type Kernel } from "./kernel.ts";
import type { Scalar } from "./live.ts";
import type { GpuOptions, GpuStats, Workgroups } from "./options.ts";
import { poisonKernel } from "./kernels/poison.ts";
import { Pipelines } from "./pipelines.ts";
import { BufferPool, type BufferSlice, type PoolBuffer } from "./pool.ts";
import { Profiler, type ProfileRow } from "./profiler.ts";
import { Recorder, replayError } from "./recorder.ts";
import { Recording } from "./recording.ts";
import { StagingBuffers } from "./staging.ts";
import { UniformSlots } from "./uniforms.ts";
import { MAP_MODE_READ } from "./usage.ts";

type Bytes = Float32Array | Uint32Array | Int32Array | Uint16Array | Uint8Array;

/** Dispatches recorded before they are sent: enough to amortise a submit, few enough that the device starts early. */
const BATCH = 64;

const devices = new WeakMap<GpuCaps, Gpu>();

/** The device that these very capabilities were read from: for whoever is told what a device can do, and knows what it did. */
export const deviceOf = (caps: object): Gpu | undefined => devices.get(caps as GpuCaps);

/** Opens a device on `adapter`. In Node, `@polyhead/gpu-node` finds the adapter; in browsers, `navigator.gpu.requestAdapter()` does. */
export async function openGpu(adapter: GPUAdapter, options: GpuOptions = {}): Promise<Gpu> {
  const device = await adapter.requestDevice({
    requiredFeatures: options.features === "none" ? [] : wantedFeatures(adapter),
    requiredLimits: options.limits === "default" ? {} : adapterLimits(adapter),
  });
  return new Gpu(device, adapter.info, options);
}

/**
 * A device with what every operator needs: pooled buffers, cached pipelines and bind groups, and one recorder.
 * Dispatches gather in one command encoder and one compute pass, sent on read, on a size bound, or by `flush`.
 */
export class Gpu {
  readonly device: GPUDevice;
  readonly caps: GpuCaps;
  readonly info: GpuInfo;
  readonly pool: BufferPool;
  readonly #failures: Failures;
  readonly #pipelines: Pipelines;
  readonly #poison: boolean;
  readonly #onWait: (() => () => void) | undefined;
  readonly #uniforms = new UniformSlots(BATCH);
  readonly #staging: StagingBuffers;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #bound: GPUComputePipeline | undefined;
  #recorded = 0;
  #dispatches = 0;
  #submits = 0;
  #replays = 0;
  /** Whether the open encoder holds a replay, whose scalars the next one would overwrite. */
  #replayWaits = false;
  #recorder: Recorder | undefined;
  #profiler: Profiler | undefined;

  constructor(device: GPUDevice, info: GPUAdapterInfo, options: GpuOptions = {}) {
    this.device = device;
    this.caps = readCaps(device, info);
    devices.set(this.caps, this);
    this.info = readInfo(info);
    this.#poison = options.poison ?? false;
    this.#onWait = options.onWait;
    this.#failures = new Failures(device);
    this.#staging = new StagingBuffers(device);
    this.#pipelines = new Pipelines(device, this.caps, this.#failures, BATCH);
    const { maxBufferBytes } = this.caps;
    this.pool = new BufferPool({ device, maxBufferBytes, watch: (verdict) => { this.#failures.watch(verdict); } });
  }

  get stats(): GpuStats {
    const { created, liveBytes, peakBytes, heldBytes } = this.pool;
    return {
      dispatches: this.#dispatches,
      submits: this.#submits,
      replays: this.#replays,
      bindGroups: this.#pipelines.bindGroupsCreated,
      pipelines: this.#pipelines.compiled,
      buffers: created,
      liveBytes,
      peakBytes,
      heldBytes,
    };
  }

  /** Whether `startProfile` was called and `stopProfile` not yet. */
  get profiling(): boolean {
    return this.#profiler !== undefined;
  }

  /** Whether the caller stands inside `record`. */
  get recording(): boolean {
    return this.#recorder !== undefined;
  }

  /** A buffer of at least `bytes`, with whatever its last user left in it (NaN when poisoned). */
  take(bytes: number): PoolBuffer {
    const buffer = this.pool.take(bytes);
    if (this.#poison) {
      this.dispatch(poisonKernel, { words: { buffer, offset: 0, size: Math.min(buffer.bytes, this.caps.maxBindingBytes) } }, {}, flatGrid(buffer.bytes / 4, 64));
    }
    return buffer;
  }

  give(buffer: PoolBuffer): void {
    this.pool.give(buffer);
  }

  /**
   * Records one run of `kernel`.
   *
   * @throws GpuError `GPU_DISPATCH` for impossible workgroup counts or aliased bindings, `GPU_UNSUPPORTED`, `GPU_TOO_LARGE`, `GPU_DEVICE_LOST`.
   */
  dispatch<B extends string, P extends string>(kernel: Kernel<B, P>, bindings: Readonly<Record<B, BufferSlice>>, params: Readonly<Record<P, Scalar>>, workgroups: Workgroups): void {
    const [x, y = 1, z = 1] = workgroups;
    if (!(x > 0 && y > 0 && z > 0 && x <= 65_535 && y <= 65_535 && z <= 65_535)) {
      if (x === 0 || y === 0 || z === 0) return;
      throw new GpuError("GPU_DISPATCH", `kernel '${kernel.name}' was given ${x} × ${y} × ${z} workgroups; each count is 1 to 65,535`, "use flatGrid and flatIndex, or split the work");
    }
    if (this.#recorded === BATCH || this.#profiler?.full) this.flush();
    const compiled = this.#pipelines.get(kernel);
    const slices = kernel.bindings.map(({ name }) => bindings[name]);
    const group = this.#pipelines.bindGroup(compiled, slices);
    const pass = this.#openPass(kernel.name);
    if (this.#bound !== compiled.pipeline) {
      pass.setPipeline(compiled.pipeline);
      this.#bound = compiled.pipeline;
    }
    pass.setBindGroup(0, group);
    if (kernel.params.length > 0) {
      this.#uniforms.set(this.#recorded, kernel.params, params);
      pass.setBindGroup(1, this.#pipelines.uniformGroup, [this.#recorded * UNIFORM_SLOT_BYTES]);
    }
    pass.dispatchWorkgroups(x, y, z);
    this.#recorded++;
    this.#dispatches++;
    if (this.#recorder !== undefined) {
      for (const { buffer } of slices) this.pool.holdWhileRecording(buffer);
      this.#recorder.dispatch({ pipeline: compiled.pipeline, group, types: kernel.params.map(({ type }) => type), scalars: kernel.params.map(({ name }) => params[name]), workgroups: [x, y, z] });
    }
    if (this.#profiler !== undefined) this.#closePass();
  }

  /** Records a copy of `bytes` bytes between buffers; offsets and size are multiples of 4. */
  copy(from: BufferSlice, to: BufferSlice, bytes: number): void {
    if (this.#recorder !== undefined) {
      for (const { buffer } of [from, to]) this.pool.holdWhileRecording(buffer);
      this.#recorder.copy(from, to, bytes);
    }
    this.#closePass();
    this.#encoder ??= this.device.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(from.buffer.buffer, from.offset, to.buffer.buffer, to.offset, bytes);
  }

  /**
   * Runs `work` as usual, and takes notes: `replay()` of what it returns runs the same dispatches and copies again, without the
   * JavaScript that led to them. Scalars that are `LiveNumber`s are read anew by every replay; everything else is as it was.
   *
   * What the work took from the pool stays the recording's own until `dispose`, so memory that the work freed and took
   * again goes round inside of it, and nobody else gets it. Results of the work are overwritten by each replay.
   *
   * @throws GpuError `GPU_REPLAY` when the work cannot be replayed: it reads, writes numbers of the host's, is asynchronous,
   *   or a profile runs. What it did until then is done.
   */
  record(work: () => unknown): Recording {
    this.#recorder?.refuse("record() was called within record()", "record the outer work alone; it notes the inner work as well");
    if (this.profiling) throw replayError("record() was called while a profile runs, which gives every dispatch a pass of its own", "stop the profile first, or profile the work without recording it");
    const recorder = (this.#recorder = new Recorder());
    this.pool.takeFor(recorder.hold);
    try {
      const result = work();
      if (result instanceof Promise) {
        result.catch(() => undefined); // superseded by the error below
        recorder.refuse("record() was given an asynchronous function", "read results after it, between two replays");
      }
      return recorder.seal({
        device: this.device,
        bindUniforms: (buffer) => this.#pipelines.bindUniforms(buffer),
        replay: (recording) => { this.#replay(recording); },
        release: (hold): void => {
          this.pool.release(hold);
          if (this.#replayWaits) this.flush();
        },
      });
    } catch (error) {
      this.pool.release(recorder.hold);
      throw error;
    } finally {
      this.#recorder = undefined;
      this.pool.takeFor(undefined);
    }
  }

  /**
   * Runs `work` as if nobody were recording: for what is done once and for all, such as the upload of a constant table. What it
   * takes is not the recording's, and replays find done what it did.
   */
  unrecorded<T>(work: () => T): T {
    const recorder = this.#recorder;
    this.#recorder = undefined;
    this.pool.takeFor(undefined);
    try {
      return work();
    } finally {
      this.#recorder = recorder;
      this.pool.takeFor(recorder?.hold);
    }
  }

  #replay(recording: Recording): void {
    if (recording.disposed) throw replayError("replay() of a recording that was disposed of", "record the work again, or dispose of the recording later");
    this.#recorder?.refuse("replay() was called within record()", "replay one recording after the other");
    if (this.profiling) throw replayError("replay() was called while a profile runs", "stop the profile first, or profile the work without replaying it");
    this.#failures.check();
    if (this.#replayWaits) this.flush();
    this.#closePass();
    this.#encoder ??= this.device.createCommandEncoder();
    recording.encode(this.#encoder);
    this.#replayWaits = true;
    this.#dispatches += recording.dispatches;
    this.#replays++;
  }

  /** Sends what has been recorded. */
  flush(): void {
    this.#failures.check();
    const encoder = this.#encoder;
    if (encoder === undefined) return;
    this.#closePass();
    const submitted = this.#profiler?.resolve(encoder);
    // queue.writeBuffer runs before the whole batch: hence a slot per dispatch, all written at once.
    if (this.#recorded > 0) this.device.queue.writeBuffer(this.#pipelines.uniforms, 0, this.#uniforms.bytes, 0, this.#recorded * UNIFORM_SLOT_BYTES);
    this.device.queue.submit([encoder.finish()]);
    submitted?.();
    this.#encoder = undefined;
    this.#recorded = 0;
    this.#replayWaits = false;
    this.#submits++;
  }

  /** Uploads `data` to the start of `to`, after everything recorded so far. Bytes are padded to a multiple of 4. */
  write(to: BufferSlice, data: Bytes): void {
    if (data.byteLength === 0) return;
    this.#recorder?.refuse(`${data.byteLength} bytes of the host's were written while recording; a replay would not write them again`, "upload them before record(), into memory that the work reads");
    this.flush();
    let { buffer, byteOffset, byteLength } = data;
    if (byteLength % 4 !== 0) {
      const padded = new Uint8Array(Math.ceil(byteLength / 4) * 4);
      padded.set(new Uint8Array(buffer, byteOffset, byteLength));
      ({ buffer, byteOffset, byteLength } = padded);
    }
    this.device.queue.writeBuffer(to.buffer.buffer, to.offset, buffer, byteOffset, byteLength);
  }

  /**
   * The bytes of `from`, once everything recorded so far has run.
   *
   * @throws GpuError the first failure reported by any earlier call, or `GPU_DEVICE_LOST`; it never hangs on a lost device.
   */
  async readBytes(from: BufferSlice): Promise<ArrayBuffer> {
    this.#recorder?.refuse("a read was asked for while recording; a replay would not read again", "return the tensor from the recorded work, and read it after each replay");
    const bytes = Math.ceil(from.size / 4) * 4;
    const staging = this.#staging.take(bytes);
    this.#closePass();
    this.#encoder ??= this.device.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(from.buffer.buffer, from.offset, staging, 0, bytes);
    this.flush();
    await this.#wait(staging.mapAsync(MAP_MODE_READ, 0, bytes));
    const copy = staging.getMappedRange(0, bytes).slice(0, from.size);
    staging.unmap();
    this.#staging.give(staging);
    await this.#failures.settle();
    return copy;
  }

  /** `readBytes` as a typed array. */
  async read<T>(from: BufferSlice, Type: new (bytes: ArrayBuffer) => T): Promise<T> {
    return new Type(await this.readBytes(from));
  }

  /** Waits until the device has finished everything, then throws what went wrong, if anything did. */
  async settled(): Promise<void> {
    this.flush();
    await this.#wait(this.device.queue.onSubmittedWorkDone());
    await this.#failures.settle();
  }

  /** Starts timing every kernel. @throws GpuError `GPU_UNSUPPORTED` on a device without timestamps. */
  startProfile(): void {
    if (!this.caps.timestamps) throw new GpuError("GPU_UNSUPPORTED", "this device has no timestamp queries", "profile on another adapter, or time whole steps by the wall");
    this.#recorder?.refuse("a profile was started while recording", "profile the work without recording it");
    this.flush();
    this.#profiler ??= new Profiler(this.device);
  }

  /** Ends the profile. Rows come slowest first. */
  async stopProfile(): Promise<ProfileRow[]> {
    await this.settled();
    const profiler = this.#profiler;
    this.#profiler = undefined;
    const rows = (await profiler?.rows()) ?? [];
    profiler?.destroy();
    return rows;
  }

  /** Gives unused memory back to the device. */
  trim(): void {
    this.flush();
    if (this.pool.trim().size > 0) this.#pipelines.forgetBindGroups();
  }

  /** Destroys the device. Later calls throw `GPU_DISPOSED`. */
  dispose(): void {
    this.#closePass();
    this.#encoder = undefined;
    this.#replayWaits = false;
    this.#failures.close();
    this.device.destroy();
  }

  async #wait(work: Promise<undefined>): Promise<void> {
    const done = this.#onWait?.();
    try {
      await this.#failures.unlessLost(work);
    } finally {
      done?.();
    }
  }

  #openPass(kernel: string): GPUComputePassEncoder {
    if (this.#pass === undefined) {
      this.#failures.check();
      this.#encoder ??= this.device.createCommandEncoder();
      this.#pass = this.#encoder.beginComputePass(this.#profiler === undefined ? {} : { timestampWrites: this.#profiler.next(kernel) });
    }
    return this.#pass;
  }

  #closePass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#bound = undefined;
  }
}
