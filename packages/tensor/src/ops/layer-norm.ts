import { axisOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { rowNorm } from "./row-norm.ts";

export interface LayerNormOptions {
  /** Added to the variance, inside the root. Default 1e-5. */
  readonly eps?: number;
  /** First normalised axis; it and all after it are normalised together. Default −1: the last alone. */
  readonly axis?: number;
}

/** The output, and statistics with the normalised axes at length 1; no gradient flows through the statistics. */
export interface LayerNormWithStats {
  readonly y: Tensor;
  readonly mean: Tensor;
  /** 1 / √(variance + ε) */
  readonly invStdDev: Tensor;
}

/**
 * Layer normalisation (Ba et al., 2016, arXiv:1607.06450): y = γ·(x − μ) / √(σ² + ε) + β, with μ and the biased σ² of each row.
 *
 * @param x      [..., D], f32
 * @param gamma  of the shape of the normalised axes; left out, 1
 * @param beta   likewise; left out, 0
 * @returns a tensor of x's shape
 * @throws TensorError `TENSOR_SHAPE` when gamma or beta does not fit, `TENSOR_DTYPE` for other dtypes.
 */
export function layerNorm(x: Tensor, gamma?: Tensor, beta?: Tensor, options: LayerNormOptions = {}): Tensor {
  return x.engine.scope(() => rowNorm("layerNorm", x, { eps: 1e-5, axis: -1, ...options, centre: true, gammaOffset: 0, gamma, beta }).y);
}

/** `layerNorm` that gives its statistics too. */
export function layerNormWithStats(x: Tensor, gamma?: Tensor, beta?: Tensor, options: LayerNormOptions = {}): LayerNormWithStats {
  const { engine } = x;
  return engine.scope(() => {
    const { y, mean, inv } = rowNorm("layerNorm", x, { eps: 1e-5, axis: -1, ...options, centre: true, gammaOffset: 0, gamma, beta });
    const split = axisOf(options.axis ?? -1, x.rank);
    const shape = x.shape.map((n, i) => (i < split ? n : 1));
    return { y, mean: mean!.reshape(shape), invStdDev: inv.reshape(shape) };
  });
}
