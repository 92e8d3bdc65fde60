import { shapeError, showShape, TensorError } from "../errors.ts";
import { axisOf, sameShape } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Tensors one after the other along `axis`; the other axes are equal.
 *
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`.
 */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  if (first === undefined) shapeError("concat of no tensor", "give at least one");
  const at = axisOf(axis, first.rank);
  if (first.dtype === "f16") throw new TensorError("TENSOR_DTYPE", `concat of f16 tensors, the first of shape ${showShape(first.shape)}`, "cast them to f32 first: f16 is a storage type, two numbers to a word");
  for (const { shape, dtype, rank } of tensors) {
    if (dtype !== first.dtype) throw new TensorError("TENSOR_DTYPE", `concat of ${first.dtype} and ${dtype}`, "cast them to one dtype");
    if (rank !== first.rank || shape.some((n, i) => i !== at && n !== first.shape[i])) shapeError(`concat of ${showShape(first.shape)} and ${showShape(shape)} along axis ${axis}`, "make the other axes equal");
  }
  const { engine } = first;
  const lengths = tensors.map(({ shape }) => shape[at]!);
  const starts = lengths.map((_, i) => lengths.slice(0, i).reduce((sum, n) => sum + n, 0));
  const total = lengths.reduce((sum, n) => sum + n, 0);
  return engine.scope(() => {
    const whole = engine.empty(first.shape.map((n, i) => (i === at ? total : n)), first.dtype);
    engine.noGrad(() => { tensors.forEach((tensor, i) => { engine.assign(whole.narrow(at, starts[i]!, lengths[i]!), tensor); }); });
    return link(whole, { name: "concat", inputs: tensors, backward: (g) => lengths.map((length, i) => g.narrow(at, starts[i]!, length)) });
  });
}

/** Parts of `lengths` along `axis`: the reverse of `concat`, as views. @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`. */
export function split(x: Tensor, lengths: readonly number[], axis: number): Tensor[] {
  const at = axisOf(axis, x.rank);
  const total = lengths.reduce((sum, n) => sum + n, 0);
  if (total !== x.shape[at]) shapeError(`split of ${showShape(x.shape)} along axis ${axis} into lengths ${showShape(lengths)}`, "make the lengths add up to the axis");
  return lengths.map((length, i) => x.narrow(at, lengths.slice(0, i).reduce((sum, n) => sum + n, 0), length));
}

/**
 * Tensors of one shape along a new axis, whose place in the result is `axis`: from the left, or below 0 from the right.
 *
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`.
 */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  const [first] = tensors;
  if (first === undefined) shapeError("stack of no tensor", "give at least one");
  const at = axisOf(axis, first.rank + 1);
  for (const { shape } of tensors) {
    if (!sameShape(shape, first.shape)) shapeError(`stack of ${showShape(first.shape)} and ${showShape(shape)}`, "make the shapes equal, or join along an axis they have by concat()");
  }
  return first.engine.scope(() => concat(tensors.map((x) => x.reshape([...x.shape.slice(0, at), 1, ...x.shape.slice(at)])), at));
}
