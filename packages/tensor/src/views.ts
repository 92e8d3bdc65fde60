import { OFFSET_ALIGNMENT } from "@polyhead/gpu";
import { shapeError, showShape, TensorError } from "./errors.ts";
import { copyStrided } from "./kernels/strided-copy.ts";
import { sumTo } from "./ops/sum.ts";
import { axisOf, contiguousStrides, inferShape, sameShape, type Shape } from "./shape.ts";
import { link } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

/** f16 elements share words, so the only views of an f16 tensor are whole or runs of its rows, both row-major. */
function refuseHalf(x: Tensor, what: string): void {
  if (x.dtype === "f16") throw new TensorError("TENSOR_DTYPE", `${what} of an f16 tensor of shape ${showShape(x.shape)}`, "cast it to f32 first: f16 is a storage type, two numbers to a word");
}

/** See `Tensor.contiguous`. */
export function contiguous(x: Tensor): Tensor {
  if (x.isContiguous && x.byteOffset % OFFSET_ALIGNMENT === 0) return x;
  refuseHalf(x, "a copy of a view");
  const copy = x.engine.empty(x.shape, x.dtype);
  if (x.size > 0) copyStrided(x, copy);
  return link(copy, { name: "contiguous", inputs: [x], backward: (g) => [g] });
}

/** See `Tensor.reshape`. */
export function reshape(x: Tensor, wanted: Shape): Tensor {
  const shape = inferShape(wanted, x.size);
  const source = x.isContiguous ? x : contiguous(x);
  const view = source.view({ shape, strides: contiguousStrides(shape), offset: source.offset });
  return link(view, { name: "reshape", inputs: [source], backward: (g) => [reshape(g, source.shape)] });
}

/** See `Tensor.permute`. */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  const axes = order.map((axis) => axisOf(axis, x.rank));
  if (axes.length !== x.rank || new Set(axes).size !== x.rank) shapeError(`permute(${showShape(order)}) of a tensor of rank ${x.rank}`, "name every axis once");
  refuseHalf(x, "permute");
  const inverse = axes.map((_, i) => axes.indexOf(i));
  const view = x.view({ shape: axes.map((a) => x.shape[a]!), strides: axes.map((a) => x.strides[a]!), offset: x.offset });
  return link(view, { name: "permute", inputs: [x], backward: (g) => [permute(g, inverse)] });
}

/** See `Tensor.narrow`. */
export function narrow(x: Tensor, axis: number, start: number, length: number): Tensor {
  const at = axisOf(axis, x.rank);
  const n = x.shape[at]!;
  if (!(Number.isInteger(start) && Number.isInteger(length) && start >= 0 && length >= 0 && start + length <= n)) {
    shapeError(`narrow to ${start}..${start + length} of axis ${at}, which has ${n} elements`, "keep the range inside the axis");
  }
  if (at > 0 || !x.isContiguous) refuseHalf(x, "narrow");
  const view = x.view({ shape: x.shape.map((m, i) => (i === at ? length : m)), strides: x.strides, offset: x.offset + start * x.strides[at]! });
  return link(view, {
    name: "narrow",
    inputs: [x],
    backward: (g) => {
      const whole = x.engine.zeros(x.shape);
      x.engine.assign(whole.narrow(at, start, length), g);
      return [whole];
    },
  });
}

/** See `Tensor.expand`. */
export function expand(x: Tensor, shape: Shape): Tensor {
  const pad = shape.length - x.rank;
  if (pad < 0 || x.shape.some((n, i) => n !== 1 && n !== shape[i + pad])) shapeError(`expand of shape ${showShape(x.shape)} to ${showShape(shape)}`, "only axes of length 1, and new ones on the left, stretch");
  if (sameShape(shape, x.shape)) return x;
  refuseHalf(x, "expand");
  const strides = shape.map((n, i) => (i < pad || (x.shape[i - pad] === 1 && n !== 1) ? 0 : x.strides[i - pad]!));
  const view = x.view({ shape: [...shape], strides, offset: x.offset });
  return link(view, { name: "expand", inputs: [x], backward: (g) => [sumTo(g, x.shape)] });
}
