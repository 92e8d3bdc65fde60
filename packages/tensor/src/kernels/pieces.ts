import type { BufferSlice } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";

export interface Piece {
  /** First row. */
  readonly first: number;
  /** Rows. */
  readonly count: number;
  readonly slice: BufferSlice;
}

/** Rows of a contiguous 32-bit tensor in runs that one binding can hold: by default a device binds 128 MiB, and GPT-2's table has 154. */
export function pieces(x: Tensor, rowLength: number): Piece[] {
  const { offset, size, buffer } = x.slice();
  const rows = x.size / rowLength;
  // 64 rows are a multiple of 256 bytes, which every binding must start at.
  const most = Math.max(64, Math.floor(x.engine.gpu.caps.maxBindingBytes / (rowLength * 4 * 64)) * 64);
  if (rows <= most) return [{ first: 0, count: rows, slice: { buffer, offset, size } }];
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => {
    const first = i * most;
    const start = first * rowLength * 4;
    return { first, count: Math.min(most, rows - first), slice: { buffer, offset: offset + start, size: Math.min(most * rowLength * 4, size - start) } };
  });
}
