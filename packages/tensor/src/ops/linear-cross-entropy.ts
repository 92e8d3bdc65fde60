import { checkpoint } from "../checkpoint.ts";
import { shapeError, showShape } from "../errors.ts";
import { crossEntropyTotal } from "../kernels/cross-entropy-rows.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";
import { add, mul } from "./arithmetic.ts";
import { crossEntropy } from "./cross-entropy.ts";
import { linear } from "./linear.ts";

export interface LinearCrossEntropyOptions {
  /** Rows with this target have no loss and no gradient, and do not count in the mean. Default −100. */
  readonly ignoreIndex?: number;
  /** Rows whose logits are held at once. Default: as many as keep them within 64 MiB, half of what WebGPU promises to bind. */
  readonly chunk?: number;
}

const LOGITS_BYTES = 64 * 2 ** 20;

/**
 * Mean cross-entropy of `hidden · weightᵀ` against `targets`. Where the logits [N, V] would be large, they are made a chunk
 * of rows at a time, and made again in the backward pass instead of being kept.
 *
 * @param hidden   [N, D], f32
 * @param weight   [V, D], f32
 * @param targets  [N], u32 or i32
 * @returns a scalar, nats a row
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`.
 */
export function linearCrossEntropy(hidden: Tensor, weight: Tensor, targets: Tensor, { ignoreIndex = -100, chunk }: LinearCrossEntropyOptions = {}): Tensor {
  if (hidden.rank !== 2 || weight.rank !== 2 || targets.rank !== 1 || hidden.shape[0] !== targets.size) {
    shapeError(`linearCrossEntropy of hidden ${showShape(hidden.shape)}, weight ${showShape(weight.shape)}, targets ${showShape(targets.shape)}`, "give [N, D], [V, D] and [N]");
  }
  const [rows, vocab] = [hidden.shape[0]!, weight.shape[0]!];
  const most = chunk ?? Math.max(1, Math.floor(LOGITS_BYTES / 4 / vocab));
  const { engine } = hidden;
  return engine.scope(() => {
    if (rows <= most) return crossEntropy(linear(hidden, weight), targets, { ignoreIndex });
    const part = (h: Tensor, w: Tensor, t: Tensor): Tensor => crossEntropy(linear(h, w), t, { ignoreIndex, reduction: "sum" });
    let total: Tensor | undefined;
    for (let row = 0; row < rows; row += most) {
      const count = Math.min(most, rows - row);
      const loss = checkpoint(part, hidden.narrow(0, row, count), weight, targets.narrow(0, row, count));
      total = total === undefined ? loss : add(total, loss);
    }
    // 1 / the number of rows that count, which only the GPU knows.
    const { factor } = crossEntropyTotal(engine.zeros([rows]), { targets: contiguous(targets), ignore: ignoreIndex }, true);
    return mul(total!, factor.reshape([]));
  });
}
