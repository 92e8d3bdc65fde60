import { product } from "../kernels/matmul/run.ts";
import type { MatmulTemplate } from "../kernels/matmul/spec.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";

export interface MatmulOptions {
  /** a is stored [..., K, M]. */
  readonly transA?: boolean;
  /** b is stored [..., N, K]. */
  readonly transB?: boolean;
  /** Factor of the product, such as 1/√d. Default 1. */
  readonly scale?: number;
  /**
   * Writes here instead of into a new tensor. May be a view with contiguous rows, such as [B, T, H, D] permuted to
   * [B, H, T, D]; must not share memory with an operand.
   */
  readonly out?: Tensor;
  /** Adds to `out`. */
  readonly accumulate?: boolean;
  /** Forces a kernel, for tests and benchmarks. Default: the measured winner for this shape, else the built-in choice. */
  readonly template?: MatmulTemplate;
}

/**
 * Matrix product over the last two axes, `[..., M, K] · [..., K, N] → [..., M, N]`; batch axes broadcast. f32 sums.
 *
 * Views need no copy as long as one of the last two axes is contiguous: permuted heads, expanded key/value groups and
 * transposes are read where they lie. `b` may be f16; it then gets no gradient.
 *
 * @throws TensorError `TENSOR_SHAPE` when inner lengths differ or batch axes do not broadcast, `TENSOR_DTYPE`, `TENSOR_ENGINE`.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transA = false, transB = false, scale = 1, template, out, accumulate = false } = options;
  const result = product(a, b, { transA, transB, alpha: scale, template, out, accumulate });
  return link(result, {
    name: "matmul",
    inputs: [a, b],
    saves: [a, b],
    backward: (g, [savedA, savedB]) => [
      a.requiresGrad ? gradientOfA(g, savedA!, savedB!, transA, transB, scale) : undefined,
      b.requiresGrad ? gradientOfB(g, savedA!, savedB!, transA, transB, scale) : undefined,
    ],
  });
}

/** dA = g · op(B)ᵀ, or its transpose where A is stored transposed; summed over axes along which A was broadcast. */
export function gradientOfA(g: Tensor, a: Tensor, b: Tensor, transA: boolean, transB: boolean, alpha = 1): Tensor {
  const batch = a.shape.slice(0, -2);
  return transA ? product(b, g, { transA: transB, transB: true, alpha, batch }) : product(g, b, { transB: !transB, alpha, batch });
}

/** dB = op(A)ᵀ · g, or its transpose where B is stored transposed; summed over axes along which B was broadcast. */
export function gradientOfB(g: Tensor, a: Tensor, b: Tensor, transA: boolean, transB: boolean, alpha = 1): Tensor {
  const batch = b.shape.slice(0, -2);
  return transB ? product(g, a, { transA: true, transB: transA, alpha, batch }) : product(a, g, { transA: !transA, alpha, batch });
}
