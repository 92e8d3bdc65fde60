import type { Count } from "@polyhead/core";
import { flatGrid } from "@polyhead/gpu";
import type { Tensor } from "@polyhead/tensor";
import { shiftRowsKernel } from "./kernels/shift-rows.ts";

/** Row numbers i32 `[B]`, counted from `first` on instead of from 0. */
export function shiftRows(rows: Tensor, first: Count): Tensor {
  const { engine } = rows;
  const shifted = engine.empty(rows.shape, "i32");
  engine.gpu.dispatch(shiftRowsKernel, { rows: rows.contiguous().slice(), shifted: shifted.slice() }, { count: rows.size, first }, flatGrid(rows.size, 64));
  return shifted;
}
