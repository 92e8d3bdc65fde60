import { flatGrid, type Scalar } from "@polyhead/gpu";
import type { Engine } from "../engine.ts";
import { TensorError } from "../errors.ts";
import { dropoutKernel, randnKernel, uniformKernel } from "../kernels/philox.ts";
import { requireF32 } from "../operands.ts";
import { USE } from "../philox.ts";
import type { Shape } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

export interface RandomOptions {
  /** Default: the engine's seed. */
  readonly seed?: number;
  /** Default: one that no other random call of this engine has. */
  readonly stream?: Scalar;
}

export interface UniformOptions extends RandomOptions {
  /** Default 0. */
  readonly low?: number;
  /** Default 1. */
  readonly high?: number;
}

/**
 * Numbers uniform in [low, high), drawn on the GPU: element 4i + j is word j of Philox block i. From 0 to 1 the bits are the
 * same on every adapter; elsewhere the last one depends on whether the adapter fuses the multiplication and the addition.
 *
 * @throws TensorError `TENSOR_VALUE` unless low < high in f32, both finite, and so their difference.
 */
export function uniform(engine: Engine, shape: Shape, { low = 0, high = 1, seed = engine.seed, stream = engine.nextRandomStream() }: UniformOptions = {}): Tensor {
  const span = Math.fround(high - low);
  if (!(Math.fround(low) < Math.fround(high) && Number.isFinite(span))) throw new TensorError("TENSOR_VALUE", `uniform numbers from ${low} to ${high}`, "give finite ends, the lower one first, that differ in f32");
  const values = engine.empty(shape);
  const groups4 = Math.ceil(values.size / 4);
  if (groups4 > 0) engine.gpu.dispatch(uniformKernel, { values: values.slice() }, { groups4, stream, seed, purpose: USE.uniform, low, span, most: below(high) }, flatGrid(groups4, 64));
  return values;
}

/** The largest f32 below the f32 nearest to `value`. */
function below(value: number): number {
  const f32 = Float32Array.of(value);
  const bits = new Uint32Array(f32.buffer);
  if (f32[0] === 0) return -(2 ** -126); // the next normal number: adapters may take smaller ones for 0
  bits[0]! += f32[0]! > 0 ? -1 : 1;
  return f32[0]!;
}

export interface RandnOptions extends RandomOptions {
  /** Default 0. */
  readonly mean?: number;
  /** Default 1. */
  readonly std?: number;
}

/**
 * Numbers from N(mean, std²), drawn on the GPU by Box and Muller's transform: Philox block i gives elements 4i to 4i + 3. The
 * same from run to run; between adapters the last bits differ with their logarithm and root. `normal` draws on the host.
 *
 * @throws TensorError `TENSOR_VALUE` unless mean and std are finite and std ≥ 0.
 */
export function randn(engine: Engine, shape: Shape, { mean = 0, std = 1, seed = engine.seed, stream = engine.nextRandomStream() }: RandnOptions = {}): Tensor {
  if (!(Number.isFinite(mean) && Number.isFinite(std) && std >= 0)) throw new TensorError("TENSOR_VALUE", `normal numbers of mean ${mean} and standard deviation ${std}`, "give finite numbers, and a deviation of at least 0");
  const values = engine.empty(shape);
  const groups4 = Math.ceil(values.size / 4);
  if (groups4 > 0) engine.gpu.dispatch(randnKernel, { values: values.slice() }, { groups4, stream, seed, purpose: USE.noise, mean, spread: std }, flatGrid(groups4, 64));
  return values;
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
  return link(drop(x), { name: "dropout", inputs: [x], backward: (g) => [drop(g)] });
}
