import { shapeError, showShape } from "../errors.ts";
import { crossEntropyBackward, crossEntropyRows, crossEntropyTotal } from "../kernels/cross-entropy-rows.ts";
import { requireF32, requireIndices } from "../operands.ts";
import { sameShape } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

export interface CrossEntropyOptions {
  /** Rows with this target have no loss and no gradient, and do not count in the mean. Default −100. */
  readonly ignoreIndex?: number;
  /** `mean` (default) over the rows that count, 0 if none does; `sum`; or `none`: a loss a row. */
  readonly reduction?: "mean" | "sum" | "none";
}

/**
 * −log softmax(logits)[target], without holding the softmax.
 *
 * @param logits   [..., V], f32
 * @param targets  [...], u32 or i32. One outside of 0..V − 1 makes the loss NaN: check them by `checkIds` while they are on the CPU.
 * @returns a scalar, or a tensor of the targets' shape
 * @throws TensorError `TENSOR_SHAPE` when the shapes differ, `TENSOR_DTYPE`.
 */
export function crossEntropy(logits: Tensor, targets: Tensor, { ignoreIndex = -100, reduction = "mean" }: CrossEntropyOptions = {}): Tensor {
  requireF32(logits, "crossEntropy");
  requireIndices(targets, "crossEntropy");
  if (logits.rank === 0 || !sameShape(logits.shape.slice(0, -1), targets.shape)) {
    shapeError(`crossEntropy of logits ${showShape(logits.shape)} against targets ${showShape(targets.shape)}`, "give one target for every row of logits: [..., V] and [...]");
  }
  const length = logits.shape.at(-1)!;
  if (length === 0) shapeError(`crossEntropy of logits ${showShape(logits.shape)}, which have no class`, "give at least one class");
  const { engine } = logits;
  return engine.scope(() => {
    const [x, t] = engine.noGrad(() => [contiguous(logits), contiguous(targets)] as const);
    const rows = { targets: t, ignore: ignoreIndex };
    const { loss, lse } = crossEntropyRows(x, length, rows);
    const shared = reduction !== "none";
    const { result, factor } = shared ? crossEntropyTotal(loss, rows, reduction === "mean") : { result: engine.noGrad(() => loss.reshape(targets.shape)), factor: engine.full([], 1) };
    return link(result, {
      name: "crossEntropy",
      inputs: [logits],
      saves: [x, t, lse, factor],
      backward: (g, [logit, target, logSum, weight]) => [crossEntropyBackward(contiguous(g), logit!, length, { targets: target!, ignore: ignoreIndex, lse: logSum!, factor: weight!, shared })],
    });
  });
}
