import { GpuError } from "@polyhead/gpu";

/**
 * A misuse of tensors. Codes: `TENSOR_SHAPE`, `TENSOR_DTYPE`, `TENSOR_RELEASED`, `TENSOR_GRAPH`, `TENSOR_SCOPE`, `TENSOR_ENGINE`, `TENSOR_VALUE`,
 * `TENSOR_REPLAY`, `TENSOR_ANOMALY` (see `Engine.detectAnomaly`).
 */
export class TensorError extends GpuError {
  constructor(code: string, message: string, fix: string, options?: ErrorOptions) {
    super(code, message, fix, options);
    this.name = "TensorError";
  }
}

export const showShape = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** @throws TensorError `TENSOR_SHAPE`, always. */
export function shapeError(message: string, fix: string): never {
  throw new TensorError("TENSOR_SHAPE", message, fix);
}
