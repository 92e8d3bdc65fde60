import type { Scalar } from "@polyhead/gpu";
import { showShape, TensorError } from "./errors.ts";
import type { Tensor } from "./tensor.ts";

/** Whether an operand is a number, live or not, rather than a tensor. */
export function isScalar(x: Tensor | Scalar): x is Scalar {
  return typeof x === "number" || !("engine" in x);
}

/** @throws TensorError `TENSOR_DTYPE` unless `x` holds f32. */
export function requireF32(x: Tensor, operator: string): void {
  if (x.dtype !== "f32") throw new TensorError("TENSOR_DTYPE", `${operator} of a tensor of dtype ${x.dtype} and shape ${showShape(x.shape)}; it computes in f32`, "cast the tensor to f32 first");
}

/** @throws TensorError `TENSOR_DTYPE` unless `x` holds whole numbers. */
export function requireIndices(x: Tensor, operator: string): void {
  if (x.dtype !== "u32" && x.dtype !== "i32") throw new TensorError("TENSOR_DTYPE", `${operator} was given indices of dtype ${x.dtype}`, "make them with dtype 'u32' or 'i32'");
}
