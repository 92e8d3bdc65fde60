import type { Tensor } from "../tensor.ts";
import { rowNorm } from "./row-norm.ts";

export interface RmsNormOptions {
  /** Added to the mean square, inside the root. Default 1e-6. */
  readonly eps?: number;
  /** First normalised axis; it and all after it are normalised together. Default −1: the last alone. */
  readonly axis?: number;
  /** Scales by 1 + γ instead of γ, for checkpoints that store γ − 1. */
  readonly addOne?: boolean;
}

/**
 * Root-mean-square normalisation (Zhang & Sennrich, 2019, arXiv:1910.07467): y = γ·x / √(mean(x²) + ε), each row on its own.
 *
 * @param x      [..., D], f32
 * @param gamma  of the shape of the normalised axes; left out, 1
 * @returns a tensor of x's shape
 * @throws TensorError `TENSOR_SHAPE` when gamma does not fit, `TENSOR_DTYPE` for other dtypes.
 */
export function rmsNorm(x: Tensor, gamma?: Tensor, { eps = 1e-6, axis = -1, addOne = false }: RmsNormOptions = {}): Tensor {
  return x.engine.scope(() => rowNorm("rmsNorm", x, { eps, axis, centre: false, gammaOffset: addOne ? 1 : 0, gamma, beta: undefined }).y);
}
