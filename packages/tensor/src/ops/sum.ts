import { shapeError, showShape } from "../errors.ts";
import { reduceMiddle } from "../kernels/reduce-sum.ts";
import { axisOf, type Shape } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

/** Without the tape: sums `axes` away, keeping them with length 1. */
function reduceAxes(x: Tensor, axes: ReadonlySet<number>): Tensor {
  const kept = x.shape.map((n, i) => (axes.has(i) ? 1 : n));
  if (axes.size === 0) return x;
  // A run of summed axes between kept ones is one axis in memory; several runs are summed one after the other.
  let result = x;
  for (let axis = x.rank - 1; axis >= 0; axis--) {
    if (!axes.has(axis)) continue;
    let first = axis;
    while (first > 0 && axes.has(first - 1)) first--;
    const { shape } = result;
    const length = (from: number, to: number): number => shape.slice(from, to).reduce((p, n) => p * n, 1);
    const sum = reduceMiddle(contiguous(result), length(0, first), length(first, axis + 1), length(axis + 1, shape.length));
    result = sum.reshape(shape.map((n, i) => (i >= first && i <= axis ? 1 : n)));
    axis = first;
  }
  return result.reshape(kept);
}

/**
 * Sum over `axes` (all by default), in a fixed order, so that two runs agree to the last bit.
 * `keepAxes` leaves them with length 1.
 */
export function sum(x: Tensor, axes?: readonly number[], { keepAxes = false }: { readonly keepAxes?: boolean } = {}): Tensor {
  const summed = new Set(axes?.map((axis) => axisOf(axis, x.rank)) ?? x.shape.map((_, i) => i));
  const { engine } = x;
  const kept = engine.noGrad(() => reduceAxes(x, summed));
  const shape = keepAxes ? kept.shape : kept.shape.filter((_, i) => !summed.has(i));
  return link(kept === x ? x.detach() : engine.noGrad(() => kept.reshape(shape)), { name: "sum", inputs: [x], backward: (g) => [g.reshape(kept.shape).expand(x.shape)] });
}

/** Mean over `axes` (all by default). */
export function mean(x: Tensor, axes?: readonly number[], options: { readonly keepAxes?: boolean } = {}): Tensor {
  const total = sum(x, axes, options);
  return scaleBy(total, total.size / x.size);
}

function scaleBy(x: Tensor, factor: number): Tensor {
  const { engine } = x;
  return link(engine.noGrad(() => reduceMiddle(contiguous(x), x.size, 1, 1, factor).reshape(x.shape)), { name: "mean", inputs: [x], backward: (g) => [scaleBy(g, factor)] });
}

/** The reverse of broadcasting: sums `x` down to `shape`. Without the tape. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  const pad = x.rank - shape.length;
  const axes = new Set(x.shape.flatMap((n, i) => (i < pad || (shape[i - pad] === 1 && n !== 1) ? [i] : [])));
  if (x.shape.some((n, i) => !axes.has(i) && n !== shape[i - pad])) shapeError(`${showShape(x.shape)} cannot be summed down to ${showShape(shape)}`, "give a shape that broadcasts to the tensor's");
  return x.engine.noGrad(() => reduceAxes(x, axes).reshape(shape));
}
