import type { Capture } from "@polyhead/expr";
import { derived, type Gpu, type Scalar } from "@polyhead/gpu";
import { AnomalyWatch } from "./anomalies.ts";
import { captureTensor } from "./captures.ts";
import { showShape, TensorError } from "./errors.ts";
import { encode } from "./encode.ts";
import { fill } from "./kernels/fill.ts";
import { copyStrided } from "./kernels/strided-copy.ts";
import { RecordedStep, StepNotes } from "./recording.ts";
import { Scopes, tensorsIn } from "./scopes.ts";
import { bytesOf, checkShape, contiguousStrides, sameShape, sizeOf, type DType, type Shape } from "./shape.ts";
import { Storage } from "./storage.ts";
import type { TapeNode } from "./tape.ts";
import { Tensor } from "./tensor.ts";

export interface EngineOptions {
  /** Seed of every random operator that is given none of its own. */
  readonly seed?: number;
}

export interface TensorOptions {
  readonly dtype?: DType;
  /** Makes it a leaf that gathers a gradient. */
  readonly requiresGrad?: boolean;
}

/** Tensors of one device: makes them, tracks which scope owns them, and says whether the tape is on. */
export function createEngine(gpu: Gpu, options: EngineOptions = {}): Engine {
  return new Engine(gpu, options);
}

export class Engine {
  readonly gpu: Gpu;
  readonly seed: number;
  readonly #scopes = new Scopes();
  #gradEnabled = true;
  #nodes = 0;
  #randomCalls = 0;
  #notes: StepNotes | undefined;
  #anomalies: AnomalyWatch | undefined;

  constructor(gpu: Gpu, options: EngineOptions) {
    this.gpu = gpu;
    this.seed = options.seed ?? 0;
  }

  get gradEnabled(): boolean {
    return this.#gradEnabled;
  }

  /** A tensor with numbers of the caller's; `shape` defaults to one axis. @throws TensorError `TENSOR_SHAPE` when they do not fill the shape. */
  tensor(data: ArrayLike<number>, shape: Shape = [data.length], { dtype = "f32", requiresGrad = false }: TensorOptions = {}): Tensor {
    if (data.length !== sizeOf(shape)) throw new TensorError("TENSOR_SHAPE", `${data.length} numbers for the shape ${showShape(shape)}, which holds ${sizeOf(shape)}`, "give as many numbers as the shape holds");
    if (requiresGrad && dtype !== "f32") throw new TensorError("TENSOR_DTYPE", `a leaf of dtype ${dtype} cannot gather a gradient`, "keep learned tensors in f32");
    const tensor = this.empty(shape, dtype);
    this.upload(tensor, data);
    tensor.requiresGrad = requiresGrad;
    return tensor;
  }

  /** Replaces the numbers of `tensor`, which is contiguous and a leaf. */
  upload(tensor: Tensor, data: ArrayLike<number>): void {
    if (data.length !== tensor.size) throw new TensorError("TENSOR_SHAPE", `${data.length} numbers for a tensor of shape ${showShape(tensor.shape)}`, "give as many numbers as the tensor holds");
    this.gpu.write(tensor.slice(), encode(data, tensor.dtype));
  }

  /** Memory that nobody has written yet. */
  empty(shape: Shape, dtype: DType = "f32"): Tensor {
    checkShape(shape);
    const storage = new Storage(this.gpu, bytesOf(sizeOf(shape), dtype));
    return new Tensor(this, storage, { shape: [...shape], strides: contiguousStrides(shape), offset: 0, dtype });
  }

  zeros(shape: Shape, dtype: DType = "f32"): Tensor {
    return this.full(shape, 0, dtype);
  }

  /** Every element `value`; a live one is read anew by every replay. */
  full(shape: Shape, value: Scalar, dtype: DType = "f32"): Tensor {
    const tensor = this.empty(shape, dtype);
    fill(tensor, value);
    return tensor;
  }

  /** Writes `source` into what `target` views: for caches and gradients. The tape does not see it. */
  assign(target: Tensor, source: Tensor): void {
    if (!sameShape(target.shape, source.shape)) throw new TensorError("TENSOR_SHAPE", `assign of shape ${showShape(source.shape)} to ${showShape(target.shape)}`, "expand() or reshape() the source to the target's shape");
    if (target.dtype !== source.dtype || target.dtype === "f16") throw new TensorError("TENSOR_DTYPE", `assign of ${source.dtype} to ${target.dtype}`, "cast to one 32-bit dtype first");
    if (source.size > 0) copyStrided(source, target);
  }

  /**
   * Writes `source` into row `row` of `target`, along its first axis; a live row is read anew by every replay. The tape does not see it.
   *
   * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`; `TENSOR_VALUE` for a row that is not there, in a replay too.
   */
  assignRow(target: Tensor, row: Scalar, source: Tensor): void {
    const [rows = 0, ...rest] = target.shape;
    if (target.rank === 0 || !sameShape(rest, source.shape)) throw new TensorError("TENSOR_SHAPE", `assignRow of shape ${showShape(source.shape)} to ${showShape(target.shape)}`, "give a source of the target's shape without its first axis");
    if (target.dtype !== source.dtype || target.dtype === "f16") throw new TensorError("TENSOR_DTYPE", `assignRow of ${source.dtype} to ${target.dtype}`, "cast to one 32-bit dtype first");
    if (source.size === 0) return;
    const count = derived(row, (at) => {
      if (Number.isInteger(at) && at >= 0 && at < rows) return at;
      throw new TensorError("TENSOR_VALUE", `assignRow to row ${at} of ${rows}`, `give a whole number from 0 to ${rows - 1}`);
    });
    const stride = target.strides[0]!;
    const first = target.view({ shape: rest, strides: target.strides.slice(1), offset: target.offset });
    copyStrided(source, first, { count, stride });
    first.dispose();
  }

  /**
   * Runs `work` and releases every tensor made inside, except those in what it returns (a tensor, or an array or plain
   * object of them), which pass to the enclosing scope, and those that a tape saved or `keep` took out.
   *
   * @throws TensorError `TENSOR_SCOPE` when `work` is asynchronous: its tensors would be released while it waits.
   */
  scope<T>(work: () => T): T {
    return this.#scopes.run(work);
  }

  /** Takes `tensor` out of its scope: it lives until `dispose`. */
  keep(tensor: Tensor): Tensor {
    this.#scopes.forget(tensor);
    return tensor;
  }

  /** Called by every new tensor. */
  track(tensor: Tensor): void {
    this.#scopes.track(tensor);
  }

  /** Called by every new tape node. */
  trackNode(node: TapeNode): void {
    this.#scopes.trackNode(node);
  }

  /** Runs `work` with the tape off. */
  noGrad<T>(work: () => T): T {
    return this.withGrad(false, work);
  }

  /** Runs `work` with the tape on or off. */
  withGrad<T>(enabled: boolean, work: () => T): T {
    const before = this.#gradEnabled;
    this.#gradEnabled = enabled;
    try {
      return work();
    } finally {
      this.#gradEnabled = before;
    }
  }

  nextNodeId(): number {
    return this.#nodes++;
  }

  /**
   * Runs `step` and takes notes, so that `replay()` of what it returns runs it again without the JavaScript of its operators.
   * Shapes, and numbers that are not live, stay what they were; `step` must be synchronous, and read or upload nothing.
   *
   * What `step` returns lives until the recording is disposed of, and is overwritten by every replay. So is the gradient of a
   * leaf that had none before: it is the last replay's, not a sum, unless `step` itself uses and clears it, as an
   * optimiser does. A gradient that was there before is added to by every replay, as by every eager step.
   *
   * @throws GpuError `GPU_REPLAY` when the step cannot be replayed; what it did until then is done.
   */
  record<T>(step: () => T): RecordedStep<T> {
    if (this.#anomalies !== undefined) throw new TensorError("TENSOR_REPLAY", "record() was called within detectAnomaly()", "run the step eagerly while looking for NaN: a replay knows no operators");
    const notes = new StepNotes(this.#randomCalls);
    const before = this.#notes;
    let outputs = new Set<Tensor>();
    let result: T | undefined;
    try {
      const recording = this.gpu.record(() => {
        this.#notes = notes;
        result = this.scope(step);
        outputs = tensorsIn(result);
        for (const tensor of outputs) this.keep(tensor);
      });
      return new RecordedStep<T>({
        engine: this,
        recording,
        notes,
        outputs: result as T,
        randomCalls: notes.callsUntil(this.#randomCalls),
        upload: (capture) => { captureTensor(this, capture); },
        release: () => { for (const tensor of outputs) tensor.dispose(); },
      });
    } catch (error) {
      for (const tensor of outputs) tensor.dispose();
      throw error;
    } finally {
      this.#notes = before;
    }
  }

  /** Whether the caller stands inside `record`. */
  get recording(): boolean {
    return this.#notes !== undefined;
  }

  /**
   * Runs `work` and looks for NaN in each operator's output and, in the backward pass, in each gradient. The first operator
   * that made it out of clean inputs is named when `work` ends, or at a `read` before. Slow; nothing is looked at outside.
   *
   * @throws TensorError `TENSOR_ANOMALY` with operator, place and shape, and the call in its `cause`; `TENSOR_SCOPE`, `TENSOR_REPLAY`.
   */
  async detectAnomaly<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#anomalies !== undefined) throw new TensorError("TENSOR_SCOPE", "detectAnomaly() was called within detectAnomaly() of the same engine", "call it once, around everything");
    if (this.recording) throw new TensorError("TENSOR_REPLAY", "detectAnomaly() was called within record()", "look for NaN in an eager run of the step");
    const watch = (this.#anomalies = new AnomalyWatch(this));
    return watch.run(work, () => { this.#anomalies = undefined; });
  }

  /** What looks at operators while `detectAnomaly` runs. */
  get anomalies(): AnomalyWatch | undefined {
    return this.#anomalies;
  }

  /** Called by whoever reads a capture's table. */
  noteTable(capture: Capture): void {
    this.#notes?.readsTable(capture);
  }

  /**
   * A counter that no other random call of this engine has: the second key of its Philox stream. In a recorded step it is
   * live, and goes on with every replay.
   *
   * @throws TensorError `TENSOR_REPLAY` within `gpu.record` alone: its replays would draw the same numbers for ever.
   */
  nextRandomStream(): Scalar {
    if (this.#notes === undefined && this.gpu.recording) throw new TensorError("TENSOR_REPLAY", "a random operator was recorded by gpu.record(), which knows no streams", "record the step with engine.record(), or give the operator a stream");
    const position = this.#randomCalls++;
    return this.#notes?.stream(position) ?? position;
  }

  /** Position in the random streams, for checkpoints: set it to resume exactly. */
  get randomPosition(): number {
    return this.#randomCalls;
  }

  set randomPosition(position: number) {
    this.#randomCalls = position;
  }

  flush(): void {
    this.gpu.flush();
  }
}
