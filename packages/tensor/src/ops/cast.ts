import { flatGrid } from "@polyhead/gpu";
import { TensorError } from "../errors.ts";
import { castKernel } from "../kernels/cast.ts";
import type { DType } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

/**
 * The same numbers in another dtype. f32 to f16 rounds to nearest even and overflows to infinity; f32 to whole numbers cuts
 * towards zero, saturates at the last number of the dtype that f32 holds (2³¹ − 128, 2³² − 256), and makes NaN 0; i32 and u32
 * keep each other's bits. Differentiable between f32 and f16.
 *
 * @throws TensorError `TENSOR_DTYPE` between f16 and whole numbers.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  const real = (t: DType): boolean => t === "f32" || t === "f16";
  if ((x.dtype === "f16" && dtype !== "f32") || (dtype === "f16" && x.dtype !== "f32")) throw new TensorError("TENSOR_DTYPE", `cast of ${x.dtype} to ${dtype}`, "cast to f32 in between");
  const { engine } = x;
  const y = engine.noGrad(() => engine.scope(() => run(x, dtype)));
  if (!real(x.dtype) || !real(dtype)) return y;
  const { dtype: before } = x;
  // Gradients are f32 whatever the storage.
  return link(y, { name: "cast", inputs: [x], backward: (g) => [before === "f16" ? g : cast(g, "f32")] });
}

function run(x: Tensor, dtype: DType): Tensor {
  const { engine } = x;
  const y = engine.empty(x.shape, dtype);
  if (x.size === 0) return y;
  const packed = x.dtype === "f16" || dtype === "f16";
  const count = packed ? Math.ceil(x.size / 2) : x.size;
  engine.gpu.dispatch(castKernel({ source: x.dtype, dest: dtype }), { x: contiguous(x).slice(), y: y.slice() }, { count, last: x.size - 1 }, flatGrid(count, 64));
  return y;
}
