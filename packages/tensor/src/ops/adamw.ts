import type { Scalar } from "@polyhead/gpu";
import { shapeError, showShape, TensorError } from "../errors.ts";
import { adamwScalars, normAndFactor, updateParameter } from "../kernels/adamw.ts";
import { sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

/** Running means of gradient and squared gradient, by parameter; the caller owns them, zeros at the start. */
export interface AdamWState {
  readonly first: readonly Tensor[];
  readonly second: readonly Tensor[];
}

export interface AdamWStepOptions {
  /** May be live, as `step` may: then every replay of a recorded step has the rate and corrections of its own time. */
  readonly rate: Scalar;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Of this update, from 1: it corrects the bias of the means. */
  readonly step: Scalar;
  /** Decoupled decay, one for every parameter. */
  readonly weightDecay: readonly number[];
  /** Largest global gradient norm; left out, nothing is clipped. */
  readonly clip?: number;
}

/**
 * One AdamW update of every parameter that has a gradient (Loshchilov and Hutter, 2019, arXiv:1711.05101), in PyTorch's
 * order. The norm and the factor min(1, clip / (norm + 1e-6)) stay on the GPU: nothing is read back. Same bits on every run.
 *
 * @returns `norm`: the global gradient norm before clipping, f32 [1]
 * @throws TensorError `TENSOR_SHAPE` when state and parameters do not fit, `TENSOR_VALUE` when no parameter has a gradient.
 */
export function adamwStep(params: readonly Tensor[], state: AdamWState, options: AdamWStepOptions): { readonly norm: Tensor } {
  const learning = params.flatMap((value, i) => {
    const [first, second, gradient] = [state.first[i], state.second[i], value.grad];
    if (first === undefined || second === undefined || !sameShape(first.shape, value.shape) || !sameShape(second.shape, value.shape)) {
      shapeError(`parameter ${i} of shape ${showShape(value.shape)} has moments ${showShape(first?.shape ?? [])} and ${showShape(second?.shape ?? [])}`, "keep one pair of moments of the parameter's shape for every parameter");
    }
    return gradient === undefined ? [] : [{ value, gradient, first, second, weightDecay: options.weightDecay[i] ?? 0 }];
  });
  const [one] = learning;
  if (one === undefined) throw new TensorError("TENSOR_VALUE", "adamwStep of parameters of which none has a gradient", "call backward() on a loss that depends on them first");
  const { engine } = one.value;
  return engine.noGrad(() =>
    engine.scope(() => {
      const gradients = learning.map(({ gradient }) => contiguous(gradient));
      const norm = normAndFactor(gradients, options.clip ?? 0);
      const scalars = adamwScalars(options);
      learning.forEach(({ value, first, second, weightDecay }, i) => { updateParameter(value, gradients[i]!, first, second, norm, scalars(weightDecay)); });
      return { norm: norm.narrow(0, 0, 1) };
    }),
  );
}

/** Global norm of the gradients that parameters have gathered: √Σ g², f32 [1] on the GPU. */
export function gradNorm(params: readonly Tensor[]): Tensor {
  const gradients = params.flatMap(({ grad }) => (grad === undefined ? [] : [grad]));
  const [one] = gradients;
  if (one === undefined) throw new TensorError("TENSOR_VALUE", "gradNorm of parameters of which none has a gradient", "call backward() on a loss that depends on them first");
  return one.engine.noGrad(() => one.engine.scope(() => normAndFactor(gradients.map(contiguous), 0).narrow(0, 0, 1)));
}
