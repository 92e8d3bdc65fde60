import type { Program } from "@polyhead/expr";
import { shapeError, showShape } from "../errors.ts";
import { activationCode, activationGradient } from "../kernels/matmul/activation.ts";
import { product } from "../kernels/matmul/run.ts";
import { sameShape } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";
import { gradientOfA, gradientOfB } from "./matmul.ts";
import { sumTo } from "./sum.ts";

export interface LinearOptions {
  /** A program of one f32 variable, fused into the product. */
  readonly activation?: Program;
  /** Added after the activation; of the result's shape. */
  readonly residual?: Tensor;
}

/**
 * `activation(x · weightᵀ + bias) + residual` in one kernel: x [..., in], weight [out, in], bias [out] → [..., out].
 * An f16 weight is read as it is and gets no gradient.
 *
 * @throws TensorError `TENSOR_SHAPE` when the shapes do not fit, `TENSOR_VALUE` for an activation of several variables.
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor, { activation, residual }: LinearOptions = {}): Tensor {
  const shown = `linear of x ${showShape(x.shape)} and weight ${showShape(weight.shape)}`;
  const [outputs, inputs] = weight.shape as [number, number];
  if (weight.rank !== 2 || x.rank < 1 || x.shape.at(-1) !== inputs) shapeError(`${shown}: the last axis of x is not that of the weight`, "give a weight of shape [out, in] for x of shape [..., in]");
  if (bias !== undefined && !sameShape(bias.shape, [outputs])) shapeError(`${shown}: bias of shape ${showShape(bias.shape)}`, `give a bias of shape [${outputs}]`);
  const shape = [...x.shape.slice(0, -1), outputs];
  if (residual !== undefined && !sameShape(residual.shape, shape)) shapeError(`${shown}: residual of shape ${showShape(residual.shape)}`, `give a residual of shape ${showShape(shape)}`);
  const { engine } = x;
  const operands = [x, weight, bias, residual].filter((t) => t !== undefined);
  const learns = engine.gradEnabled && operands.some((t) => t.requiresGrad);
  const [result, before] = engine.noGrad(() => engine.scope(() => forward(x, weight, bias, activation, residual, shape, learns)));
  return link(result, {
    name: "linear",
    inputs: operands,
    saves: before === undefined ? [x, weight] : [x, weight, before],
    backward: (grad, [savedX, savedWeight, savedBefore]) => {
      const g = activation === undefined ? grad : activationGradient(activation, contiguous(grad), savedBefore!);
      const rows = (t: Tensor): Tensor => (t.rank === 1 ? t.reshape([1, t.size]) : t);
      const [gRows, xRows] = [rows(g), rows(savedX!)];
      return [
        x.requiresGrad ? gradientOfA(gRows, xRows, savedWeight!, false, true).reshape(x.shape) : undefined,
        weight.requiresGrad ? gradientOfB(gRows, xRows, savedWeight!, false, true) : undefined,
        ...(bias === undefined ? [] : [bias.requiresGrad ? sumTo(g, bias.shape) : undefined]),
        ...(residual === undefined ? [] : [residual.requiresGrad ? grad : undefined]),
      ];
    },
  });
}

/** The result, and what the activation was given where a gradient will ask for it. */
function forward(x: Tensor, weight: Tensor, bias: Tensor | undefined, activation: Program | undefined, residual: Tensor | undefined, shape: readonly number[], learns: boolean): [Tensor, Tensor | undefined] {
  const keep = learns && activation !== undefined ? x.engine.empty(shape) : undefined;
  const result = product(x.rank === 1 ? x.reshape([1, x.size]) : x, weight, {
    transB: true,
    bias: bias && contiguous(bias),
    residual: residual && contiguous(residual),
    activation: activation && activationCode(activation).value,
    keep,
  });
  return [x.rank === 1 ? result.reshape(shape) : result, keep];
}
