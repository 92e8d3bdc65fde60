import type { BufferSlice } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";

export interface Piece {
  /** First row. */
  readonly first: number;
  /** Rows. */
  readonly count: number;
  readonly slice: BufferSlice;
}

/** Rows of a contiguous tensor in runs that one binding can hold: by default a device binds 128 MiB, and GPT-2's table has 154. */
export function pieces(x: Tensor, rowLength: number): Piece[] {
  const { offset, size, buffer } = x.slice();
  const rows = x.size / rowLength;
  const bytes = x.dtype === "f16" ? 2 : 4;
  // So many rows are a multiple of 256 bytes, which every binding must start at.
  const unit = 256 / bytes;
  const most = Math.max(unit, Math.floor(x.engine.gpu.caps.maxBindingBytes / (rowLength * bytes * unit)) * unit);
  if (rows <= most) return [{ first: 0, count: rows, slice: { buffer, offset, size } }];
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => {
    const first = i * most;
    const start = first * rowLength * bytes;
    return { first, count: Math.min(most, rows - first), slice: { buffer, offset: offset + start, size: Math.min(most * rowLength * bytes, size - start) } };
  });
}
