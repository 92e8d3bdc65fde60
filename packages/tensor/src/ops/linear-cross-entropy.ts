import { shapeError, showShape, TensorError } from "../errors.ts";
import { crossEntropyBackward, crossEntropyRows, crossEntropyTotal } from "../kernels/cross-entropy-rows.ts";
import { product } from "../kernels/matmul/run.ts";
import { requireF32, requireIndices } from "../operands.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";
import { mul } from "./arithmetic.ts";
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
 * of rows at a time, and while a chunk's logits are there its gradients are taken as well: they are no larger than the
 * operands, and backward only scales them. So no logits are kept, and none are computed twice.
 *
 * @param hidden   [N, D], f32
 * @param weight   [V, D], f32
 * @param targets  [N], u32 or i32
 * @returns a scalar, nats a row
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`, `TENSOR_VALUE` for a chunk that is no positive whole number.
 */
export function linearCrossEntropy(hidden: Tensor, weight: Tensor, targets: Tensor, { ignoreIndex = -100, chunk }: LinearCrossEntropyOptions = {}): Tensor {
  requireF32(hidden, "linearCrossEntropy");
  requireF32(weight, "linearCrossEntropy");
  requireIndices(targets, "linearCrossEntropy");
  if (hidden.rank !== 2 || weight.rank !== 2 || targets.rank !== 1 || hidden.shape[0] !== targets.size || hidden.shape[1] !== weight.shape[1]) {
    shapeError(`linearCrossEntropy of hidden ${showShape(hidden.shape)}, weight ${showShape(weight.shape)}, targets ${showShape(targets.shape)}`, "give [N, D], [V, D] and [N]");
  }
  if (chunk !== undefined && !(Number.isInteger(chunk) && chunk > 0)) throw new TensorError("TENSOR_VALUE", `linearCrossEntropy in chunks of ${chunk} rows`, "give a positive whole number, or leave it out");
  const rows = targets.size;
  const vocab = weight.shape[0]!;
  const most = chunk ?? Math.max(1, Math.floor(LOGITS_BYTES / 4 / vocab));
  const { engine } = hidden;
  return engine.scope(() => {
    if (rows <= most) return crossEntropy(linear(hidden, weight), targets, { ignoreIndex });
    const learning = engine.gradEnabled;
    const { loss, dHidden, dWeight } = engine.noGrad(() => inChunks(hidden, weight, contiguous(targets), ignoreIndex, most, learning));
    return link(loss, {
      name: "linearCrossEntropy",
      inputs: [hidden, weight],
      saves: [dHidden, dWeight].filter((t) => t !== undefined),
      backward: (g, saved) => [dHidden && mul(saved[0]!, g), dWeight && mul(saved.at(-1)!, g)],
    });
  });
}

interface Gradients {
  readonly loss: Tensor;
  readonly dHidden: Tensor | undefined;
  readonly dWeight: Tensor | undefined;
}

function inChunks(hidden: Tensor, weight: Tensor, targets: Tensor, ignore: number, most: number, learning: boolean): Gradients {
  const { engine } = hidden;
  const [rows, vocab] = [targets.size, weight.shape[0]!];
  const dHidden = learning && hidden.requiresGrad ? engine.empty(hidden.shape) : undefined;
  const dWeight = learning && weight.requiresGrad ? engine.empty(weight.shape) : undefined;
  // The number of rows that count is known to the GPU alone, and before any loss.
  const { factor } = crossEntropyTotal(engine.zeros([rows]), { targets, ignore }, true);
  const one = engine.full([], 1);
  const losses = engine.empty([rows]);
  for (let row = 0; row < rows; row += most) {
    engine.scope(() => {
      const count = Math.min(most, rows - row);
      const part = hidden.narrow(0, row, count);
      const own = { targets: contiguous(targets.narrow(0, row, count)), ignore };
      const logits = product(part, weight, { transB: true });
      const { loss, lse } = crossEntropyRows(logits, vocab, own);
      engine.assign(losses.narrow(0, row, count), loss);
      if (dHidden === undefined && dWeight === undefined) return;
      const dLogits = crossEntropyBackward(one, logits, vocab, { ...own, lse, factor, shared: true });
      if (dHidden) product(dLogits, weight, { out: dHidden.narrow(0, row, count) });
      if (dWeight) product(dLogits, part, { transA: true, out: dWeight, accumulate: row > 0 });
    });
  }
  return { loss: crossEntropyTotal(losses, { targets, ignore }, true).result, dHidden, dWeight };
}
