import { readCaps, readInfo, type GpuCaps, type GpuInfo } from "./caps.ts";
import { BATCH, Commands } from "./commands.ts";
import { rememberDevice } from "./devices.ts";
import { GpuError } from "./errors.ts";
import { Failures } from "./failures.ts";
import { runHostStep, type HostStep } from "./host-access.ts";
import { HostTraffic, wordsOf } from "./host-traffic.ts";
import { flatGrid, isEmptyGrid, type Kernel } from "./kernel.ts";
import type { Scalar } from "./live.ts";
import type { GpuOptions, GpuStats, Workgroups } from "./options.ts";
import { poisonKernel } from "./kernels/poison.ts";
import { Outbox } from "./outbox.ts";
import { Pipelines } from "./pipelines.ts";
import { BufferPool, type BufferSlice, type PoolBuffer } from "./pool.ts";
import { Profiler, type ProfileRow } from "./profiler.ts";
import { Recorder, replayError } from "./recorder.ts";
import type { Recording } from "./recording.ts";
import type { Bytes } from "./staging.ts";

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
  readonly #outbox: Outbox;
  readonly #commands: Commands;
  readonly #traffic: HostTraffic;
  #recorder: Recorder | undefined;

  constructor(device: GPUDevice, info: GPUAdapterInfo, options: GpuOptions = {}) {
    this.device = device;
    this.caps = readCaps(device, info);
    rememberDevice(this.caps, this);
    this.info = readInfo(info);
    this.#poison = options.poison ?? false;
    this.#failures = new Failures(device);
    this.#traffic = new HostTraffic(device, this.#failures, options.onWait);
    this.#pipelines = new Pipelines(device, this.caps, this.#failures, BATCH);
    this.#outbox = new Outbox(device.queue, (error) => { this.#failures.report(error); });
    this.#commands = new Commands(device, this.#failures, this.#pipelines, this.#outbox);
    this.pool = new BufferPool({ device, maxBufferBytes: this.caps.maxBufferBytes, watch: (verdict) => { this.#failures.watch(verdict); } });
  }

  get stats(): GpuStats {
    const { created: buffers, liveBytes, peakBytes, heldBytes } = this.pool;
    const { bindGroupsCreated: bindGroups, compiled: pipelines } = this.#pipelines;
    const { dispatches, replays } = this.#commands;
    return { dispatches, submits: this.#outbox.submits, replays, bindGroups, pipelines, buffers, liveBytes, peakBytes, heldBytes };
  }

  /** Whether `startProfile` was called and `stopProfile` not yet. */
  get profiling(): boolean {
    return this.#commands.profiler !== undefined;
  }

  /** Whether the caller stands inside `record`. */
  get recording(): boolean { return this.#recorder !== undefined; }

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
    if (isEmptyGrid(kernel.name, x, y, z)) return;
    this.#commands.makeRoom();
    const compiled = this.#pipelines.get(kernel);
    const slices = kernel.bindings.map(({ name }) => bindings[name]);
    const group = this.#pipelines.bindGroup(compiled, slices);
    this.#commands.dispatch(kernel, compiled, group, params, x, y, z);
    this.#recorder?.dispatch(kernel, compiled.pipeline, { group, slices }, params, [x, y, z]);
  }

  /** Records a copy of `bytes` bytes between buffers; offsets and size are multiples of 4. */
  copy(from: BufferSlice, to: BufferSlice, bytes: number): void {
    this.#recorder?.copy(from, to, bytes);
    this.#commands.copy(from.buffer.buffer, from.offset, to.buffer.buffer, to.offset, bytes);
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
    const recorder = (this.#recorder = new Recorder(this.pool));
    this.pool.takeFor(recorder.hold);
    try {
      recorder.run(work);
      return recorder.seal({
        device: this.device,
        bindUniforms: (buffer) => this.#pipelines.bindUniforms(buffer),
        replay: (recording) => { this.#replay(recording); },
        release: (hold): void => {
          this.pool.release(hold);
          this.#commands.sendReplay();
        },
        destroy: (buffer) => { this.#outbox.whenIdle(() => { buffer.destroy(); }); },
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
    this.#commands.replay(recording);
  }

  /** Sends what has been recorded. */
  flush(): void {
    this.#commands.flush();
  }

  /** Uploads `data` to the start of `to`, after everything recorded so far. Bytes are padded to a multiple of 4. */
  write(to: BufferSlice, data: Bytes): void {
    if (data.byteLength === 0) return;
    this.#recorder?.refuse(`${data.byteLength} bytes of the host's were written while recording; a replay would not write them again`, "upload them before record(), into memory that the work reads");
    this.flush();
    const kept = this.#outbox.held ? data.slice() : data; // the caller may reuse it at once
    this.#outbox.step(() => { this.#traffic.write(to, kept); });
  }

  /**
   * Gives work of the host's its place among the commands: `step` starts when everything recorded so far has been sent, and
   * what is recorded later is sent when its promise has resolved. The caller goes on recording at once. So code that records
   * straight through can hold steps that wait, for a message of another process, say.
   *
   * What a step throws is thrown at the next point where somebody waits for the device (or sends); what was recorded behind
   * the step is then dropped.
   *
   * @throws GpuError `GPU_REPLAY` within `record`: a replay has no such steps.
   */
  hostStep(step: HostStep): void {
    this.#recorder?.refuse("a step of the host's was asked for while recording; a replay would not run it", "run such work without recording it");
    this.flush();
    this.#outbox.step(() => runHostStep(step, this.#traffic));
  }

  /**
   * The bytes of `from`, once everything recorded so far has run.
   *
   * @throws GpuError the first failure reported by any earlier call, or `GPU_DEVICE_LOST`; it never hangs on a lost device.
   */
  async readBytes(from: BufferSlice): Promise<ArrayBuffer> {
    this.#recorder?.refuse("a read was asked for while recording; a replay would not read again", "return the tensor from the recorded work, and read it after each replay");
    const staging = this.#traffic.stagingFor(from);
    this.#commands.copy(from.buffer.buffer, from.offset, staging, 0, wordsOf(from));
    this.flush();
    await this.#outbox.sent();
    return this.#traffic.arrival(from, staging);
  }

  /** `readBytes` as a typed array. */
  async read<T>(from: BufferSlice, Type: new (bytes: ArrayBuffer) => T): Promise<T> {
    return new Type(await this.readBytes(from));
  }

  /** Waits until the device has finished everything, then throws what went wrong, if anything did. */
  async settled(): Promise<void> {
    this.flush();
    await this.#outbox.sent();
    await this.#traffic.finished();
    await this.#failures.settle();
  }

  /** Starts timing every kernel. @throws GpuError `GPU_UNSUPPORTED` on a device without timestamps. */
  startProfile(): void {
    if (!this.caps.timestamps) throw new GpuError("GPU_UNSUPPORTED", "this device has no timestamp queries", "profile on another adapter, or time whole steps by the wall");
    this.#recorder?.refuse("a profile was started while recording", "profile the work without recording it");
    this.flush();
    this.#commands.profiler ??= new Profiler(this.device);
  }

  /** Ends the profile. Rows come slowest first. */
  async stopProfile(): Promise<ProfileRow[]> {
    await this.settled();
    const { profiler } = this.#commands;
    this.#commands.profiler = undefined;
    const rows = (await profiler?.rows()) ?? [];
    profiler?.destroy();
    return rows;
  }

  /** Gives unused memory back to the device: now, or when no command that might use it waits for a step of the host's any more. */
  trim(): void {
    this.flush();
    this.#outbox.whenIdle(() => {
      this.#commands.flush();
      if (this.pool.trim().size > 0) this.#pipelines.forgetBindGroups();
    });
  }

  /** Destroys the device. Later calls throw `GPU_DISPOSED`. */
  dispose(): void {
    this.#commands.close();
    this.#outbox.drop(this.#failures.close());
    this.device.destroy();
  }
}
