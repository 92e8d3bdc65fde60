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
import { StagingBuffers } from "./staging.ts";
import { UniformSlots } from "./uniforms.ts";
import { MAP_MODE_READ } from "./usage.ts";

type Bytes = Float32Array | Uint32Array | Int32Array | Uint16Array | Uint8Array;

/** Dispatches recorded before they are sent: enough to amortise a submit, few enough that the device starts early. */
const BATCH = 64;

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
  #profiler: Profiler | undefined;

  constructor(device: GPUDevice, info: GPUAdapterInfo, options: GpuOptions = {}) {
    this.device = device;
    this.caps = readCaps(device, info);
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
      bindGroups: this.#pipelines.bindGroupsCreated,
      pipelines: this.#pipelines.compiled,
      buffers: created,
      liveBytes,
      peakBytes,
      heldBytes,
    };
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
    if (this.#profiler !== undefined) this.#closePass();
  }

  /** Records a copy of `bytes` bytes between buffers; offsets and size are multiples of 4. */
  copy(from: BufferSlice, to: BufferSlice, bytes: number): void {
    this.#closePass();
    this.#encoder ??= this.device.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(from.buffer.buffer, from.offset, to.buffer.buffer, to.offset, bytes);
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
    this.#submits++;
  }

  /** Uploads `data` to the start of `to`, after everything recorded so far. Bytes are padded to a multiple of 4. */
  write(to: BufferSlice, data: Bytes): void {
    if (data.byteLength === 0) return;
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
