import type { Caps, KernelPlugin, TensorLike } from "@polyhead/core";
import type { DifferentiableTensor } from "../tensors.ts";

/** As much of a tensor as the laws of kernels need. */
export interface KernelTensor<T> extends TensorLike, DifferentiableTensor<T> {
  reshape(shape: readonly number[]): T;
  permute(order: readonly number[]): T;
  narrow(axis: number, start: number, length: number): T;
  zeroGrad(): void;
  dispose(): void;
}

/** As much of an engine as the laws of kernels need. */
export interface KernelEngine<T> {
  readonly gpu: { readonly caps: Caps; readonly stats: { readonly liveBytes: number } };
  tensor(data: ArrayLike<number>, shape: readonly number[], options?: { readonly dtype?: "f32" | "f16" | "i32"; readonly requiresGrad?: boolean }): T;
  /** Releases what `work` makes, except what it returns. */
  scope<R>(work: () => R): R;
  noGrad<R>(work: () => R): R;
}

/** The operators that the laws are written with, differentiable. */
export interface KernelOps<T> {
  add(a: T, b: T): T;
  mul(a: T, b: T): T;
  sum(x: T): T;
  cast(x: T, dtype: "f32" | "f16"): T;
}

/** A kernel under test, with the device that it runs on. */
export interface KernelUnderTest<T extends KernelTensor<T>> {
  readonly kernel: KernelPlugin<string, T>;
  /** Best on a device whose pool is poisoned, so that memory nobody wrote shows in every law. */
  readonly engine: KernelEngine<T>;
  /** A second device whose pool is not poisoned; with it, both must give the same bits. */
  readonly clean?: KernelEngine<T>;
  readonly ops: KernelOps<NoInfer<T>>;
  /** Hands qk hooks to the kernel although it would rather have them applied beforehand. Default false: then they are. */
  readonly inlineQk?: boolean;
  /**
   * How far cases cover the properties that they differ in: every value `once`, or every two values together in `pairs`
   * (default), some fifty cases.
   */
  readonly cover?: "once" | "pairs";
  /** Chooses the covering cases and all numbers. Default 1. */
  readonly seed?: number;
}
