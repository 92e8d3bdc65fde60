import { flatGrid } from "@polyhead/gpu";
import type { Engine } from "../engine.ts";
import { TensorError } from "../errors.ts";
import { dropoutKernel, uniformKernel } from "../kernels/philox.ts";
import { requireF32 } from "../operands.ts";
import { normal, USE } from "../philox.ts";
import type { Shape } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

export interface RandomOptions {
  /** Default: the engine's seed. */
  readonly seed?: number;
  /** Default: one that no other random call of this engine has. */
  readonly stream?: number;
}

/** Numbers uniform in [low, high), drawn on the GPU: element 4i + j is word j of Philox block i. */
export function uniform(engine: Engine, shape: Shape, { low = 0, high = 1, seed = engine.seed, stream = engine.nextRandomStream() }: RandomOptions & { readonly low?: number; readonly high?: number } = {}): Tensor {
  const values = engine.empty(shape);
  const groups4 = Math.ceil(values.size / 4);
  if (groups4 > 0) engine.gpu.dispatch(uniformKernel, { values: values.slice() }, { groups4, stream, seed, purpose: USE.values, low, span: high - low }, flatGrid(groups4, 64));
  return values;
}

/** Numbers from N(0, std²), drawn on the host: see `normal`. */
export function randn(engine: Engine, shape: Shape, { std = 1, seed = engine.seed, stream = engine.nextRandomStream() }: RandomOptions & { readonly std?: number } = {}): Tensor {
  return engine.tensor(normal(shape.reduce((p, n) => p * n, 1), { std, seed, stream }), shape);
}

/**
 * Sets elements to 0 with probability `p` and scales the others by 1/(1 − p) (Srivastava et al., 2014). Nothing is kept for the
 * backward pass: it draws the same numbers again.
 *
 * @throws TensorError `TENSOR_VALUE` unless 0 ≤ p < 1.
 */
export function dropout(x: Tensor, p: number, { seed = x.engine.seed, stream = x.engine.nextRandomStream() }: RandomOptions = {}): Tensor {
  requireF32(x, "dropout");
  if (!(p >= 0 && p < 1)) throw new TensorError("TENSOR_VALUE", `dropout with probability ${p}`, "give a probability of at least 0 and below 1");
  const drop = (t: Tensor): Tensor => {
    const { engine } = t;
    return engine.noGrad(() =>
      engine.scope(() => {
        const kept = engine.empty(t.shape);
        const groups4 = Math.ceil(t.size / 4);
        if (groups4 > 0) engine.gpu.dispatch(dropoutKernel, { x: contiguous(t).slice(), kept: kept.slice() }, { groups4, stream, seed, purpose: USE.dropout, probability: p, factor: 1 / (1 - p) }, flatGrid(groups4, 64));
        return kept;
      }),
    );
  };
  return link(drop(x), { inputs: [x], backward: (g) => [drop(g)] });
}
