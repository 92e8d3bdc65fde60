import { OFFSET_ALIGNMENT, type BufferSlice, type Gpu } from "@polyhead/gpu";
import type { Engine } from "./engine.ts";
import { showShape, TensorError } from "./errors.ts";
import { unpackHalf } from "./half.ts";
import { bytesOf, isContiguous, sizeOf, type DType, type Shape } from "./shape.ts";
import type { Storage } from "./storage.ts";
import { backward, type BackwardOptions, type TapeNode } from "./tape.ts";
import { contiguous, expand, narrow, permute, reshape } from "./views.ts";

export interface TensorLayout {
  readonly shape: Shape;
  /** In elements. */
  readonly strides: readonly number[];
  /** In elements, from the start of the storage. */
  readonly offset: number;
  readonly dtype: DType;
}

/** What `read` gives: f16 is widened. */
export type TensorData = Float32Array | Uint32Array | Int32Array;

/**
 * A handle on numbers that live on the GPU. Handles made inside `engine.scope` are released at its end;
 * others are released by `dispose`. Operators never change a tensor: they return a new one.
 */
export class Tensor implements TensorLayout {
  readonly engine: Engine;
  readonly shape: Shape;
  readonly strides: readonly number[];
  readonly offset: number;
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
  requiresGrad = false;
  /** Gradient of a leaf, summed over `backward` calls until `zeroGrad`. */
  grad: Tensor | undefined;
  /** How it came to be, while gradients are on. */
  node: TapeNode | undefined;
  readonly #storage: Storage;
  #live = true;

  /** Use the methods of `Engine`; a tensor takes over one reference of `storage`. */
  constructor(engine: Engine, storage: Storage, layout: TensorLayout) {
    this.engine = engine;
    this.#storage = storage;
    this.shape = layout.shape;
    this.strides = layout.strides;
    this.offset = layout.offset;
    this.dtype = layout.dtype;
    this.size = sizeOf(layout.shape);
    engine.track(this);
  }

  get rank(): number {
    return this.shape.length;
  }

  get isContiguous(): boolean {
    return isContiguous(this.shape, this.strides);
  }

  /** False after `dispose`, or after the end of the scope that made it. */
  get isLive(): boolean {
    return this.#live;
  }

  /** Its memory. @throws TensorError `TENSOR_RELEASED` when the handle is gone. */
  get storage(): Storage {
    if (!this.#live) {
      throw new TensorError("TENSOR_RELEASED", `a tensor of shape ${showShape(this.shape)} was used after its release`, "return it from the scope that made it, or engine.keep() it");
    }
    return this.#storage;
  }

  /** Where its first element is in its storage, in bytes. */
  get byteOffset(): number {
    return this.offset * (this.dtype === "f16" ? 2 : 4);
  }

  /** The elements as one binding. @throws TensorError when they are not contiguous; take `contiguous()` first. */
  slice(): BufferSlice {
    const offset = this.byteOffset;
    if (!this.isContiguous || offset % OFFSET_ALIGNMENT !== 0) {
      throw new TensorError("TENSOR_SHAPE", `a view of shape ${showShape(this.shape)} with strides ${showShape(this.strides)} at offset ${this.offset} cannot be bound as it is`, "take contiguous() of it, or bind all() and pass strides and offset");
    }
    const { buffer } = this.storage;
    // Whole 16-byte groups, so that kernels may read vec4f; pool buffers are large enough.
    const bytes = Math.max(16, Math.ceil(bytesOf(this.size, this.dtype) / 16) * 16);
    return { buffer, offset, size: Math.min(bytes, buffer.bytes - offset) };
  }

  /** The whole storage as one binding, for kernels that take strides and an offset. */
  all(): BufferSlice {
    const { buffer } = this.storage;
    return { buffer, offset: 0, size: buffer.bytes };
  }

  /** A second handle on the same elements, outside of the tape and of every scope. Dispose of it yourself. */
  alias(): Tensor {
    return this.engine.keep(this.view(this));
  }

  /** A handle with another layout on the same storage, outside of the tape. */
  view(layout: Omit<TensorLayout, "dtype">): Tensor {
    return new Tensor(this.engine, this.storage.retain(), { shape: layout.shape, strides: layout.strides, offset: layout.offset, dtype: this.dtype });
  }

  /** Same elements, cut off from the tape: no gradient flows through it. */
  detach(): Tensor {
    return this.view(this);
  }

  dispose(): void {
    if (!this.#live) return;
    this.#live = false;
    this.#storage.release();
  }

  zeroGrad(): void {
    this.grad?.dispose();
    this.grad = undefined;
  }

  /**
   * Fills `grad` of every leaf that this tensor depends on, and frees the graph as it goes.
   *
   * @param seed gradient of the final quantity with respect to this tensor; may be left out for a single element (1).
   * @param options who hears of gradients as they become final.
   * @throws TensorError `TENSOR_GRAPH` without a graph, or when it was already consumed.
   */
  backward(seed?: Tensor, options: BackwardOptions = {}): void {
    backward(this, seed, options);
  }

  /**
   * The elements in row-major order, as they are when it is called; f16 is widened. Waits for the GPU, and throws what went wrong
   * before; see `Engine.detectAnomaly` too.
   */
  async read(): Promise<TensorData> {
    if (this.size === 0) return new Float32Array(0);
    const source = this.engine.noGrad(() => this.engine.scope(() => contiguous(this).alias()));
    try {
      const { size, dtype } = this;
      // Before anything is waited for: the caller may write to this tensor meanwhile.
      const coming = copyOut(this.engine.gpu, { ...source.slice(), size: bytesOf(size, dtype) }, size, dtype);
      coming.catch(() => undefined); // an anomaly is the better news
      const found = await this.engine.anomalies?.check();
      if (found !== undefined) throw found;
      return await coming;
    } finally {
      source.dispose();
    }
  }

  /** The only element. @throws TensorError `TENSOR_SHAPE` when there are more. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new TensorError("TENSOR_SHAPE", `item() of a tensor of shape ${showShape(this.shape)}`, "reduce it to one element, or use read()");
    return (await this.read())[0]!;
  }

  /** Same elements in another shape; one axis may be -1. Copies only when strides force it. */
  reshape(shape: Shape): Tensor {
    return reshape(this, shape);
  }

  /** Axes in another order, without a copy. */
  permute(order: readonly number[]): Tensor {
    return permute(this, order);
  }

  /** The last two axes swapped, without a copy. */
  transpose(): Tensor {
    const order = this.shape.map((_, i) => i);
    return permute(this, [...order.slice(0, -2), this.rank - 1, this.rank - 2]);
  }

  /** Elements `start` to `start + length` of an axis, without a copy; of f16, of the first axis alone. */
  narrow(axis: number, start: number, length: number): Tensor {
    return narrow(this, axis, start, length);
  }

  /** Axes of length 1 stretched, without a copy (stride 0). */
  expand(shape: Shape): Tensor {
    return expand(this, shape);
  }

  /** Itself when it can be bound directly, else a row-major copy. */
  contiguous(): Tensor {
    return contiguous(this);
  }
}

async function copyOut(gpu: Gpu, slice: BufferSlice, size: number, dtype: DType): Promise<TensorData> {
  switch (dtype) {
    case "f32":
      return gpu.read(slice, Float32Array);
    case "f16":
      return unpackHalf(await gpu.read(slice, Uint16Array), size);
    case "u32":
      return gpu.read(slice, Uint32Array);
    case "i32":
      return gpu.read(slice, Int32Array);
  }
}
