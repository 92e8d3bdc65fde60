import { softmaxRows, softmaxRowsBackward } from "../kernels/softmax-rows.ts";
import { requireF32 } from "../operands.ts";
import { axisOf } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

/**
 * exp(x) / Σ exp(x) along `axis`, for inputs of any size. Where every entry is −∞ the result is 0, not NaN.
 *
 * @throws TensorError `TENSOR_SHAPE` for an axis that is not there, `TENSOR_DTYPE` unless f32.
 */
export function softmax(x: Tensor, axis = -1): Tensor {
  return alongAxis(x, axis, false);
}

/** x − log Σ exp(x) along `axis`. Where every entry is −∞ the result is −∞ and the gradient that of each entry alone. */
export function logSoftmax(x: Tensor, axis = -1): Tensor {
  return alongAxis(x, axis, true);
}

function alongAxis(x: Tensor, axis: number, log: boolean): Tensor {
  requireF32(x, log ? "logSoftmax" : "softmax");
  const at = axisOf(axis, x.rank);
  const last = x.rank - 1;
  return x.engine.scope(() => {
    if (at === last) return alongLast(x, log);
    const swap = x.shape.map((_, i) => (i === at ? last : i === last ? at : i));
    return alongLast(x.permute(swap), log).permute(swap);
  });
}

function alongLast(x: Tensor, log: boolean): Tensor {
  const y = softmaxRows(x.engine.noGrad(() => contiguous(x)), log);
  return link(y, { name: log ? "logSoftmax" : "softmax", inputs: [x], saves: [y], backward: (g, [kept]) => [softmaxRowsBackward(contiguous(g), kept!, log)] });
}
