import { shapeError, showShape } from "./errors.ts";

export type Shape = readonly number[];

/** `f16` is a storage type: two numbers to a 32-bit word, widened to f32 before any arithmetic. */
export type DType = "f32" | "f16" | "u32" | "i32";

export const sizeOf = (shape: Shape): number => shape.reduce((product, n) => product * n, 1);

export const bytesOf = (size: number, dtype: DType): number => (dtype === "f16" ? Math.ceil(size / 2) * 4 : size * 4);

/** Row-major strides, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

/** Row-major in memory; the strides of axes of length 1 do not matter. */
export function isContiguous(shape: Shape, strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis]!;
  }
  return true;
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((n, i) => n === b[i]);

export function checkShape(shape: Shape): void {
  if (shape.some((n) => !Number.isInteger(n) || n < 0)) shapeError(`shape ${showShape(shape)} has an entry that is not a whole number`, "give non-negative integers");
}

/** Turns a negative axis into its place from the left. */
export function axisOf(axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank) shapeError(`axis ${axis} of a tensor of rank ${rank}`, `use an axis from ${-rank} to ${rank - 1}`);
  return at;
}

/** NumPy's rule: align right, a length of 1 stretches. */
export function broadcastShapes(...shapes: readonly Shape[]): number[] {
  const rank = Math.max(...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, i) => {
    let length = 1;
    for (const shape of shapes) {
      const n = shape[i - rank + shape.length] ?? 1;
      if (n === 1) continue;
      if (length !== 1 && n !== length) shapeError(`shapes ${shapes.map(showShape).join(" and ")} do not broadcast: axis ${i - rank} has ${length} and ${n}`, "make the lengths equal, or one of them 1");
      length = n;
    }
    return length;
  });
}

/** Replaces one `-1` by whatever keeps the size. */
export function inferShape(shape: Shape, size: number): number[] {
  const holes = shape.filter((n) => n === -1).length;
  const known = sizeOf(shape.filter((n) => n !== -1));
  const full = holes === 1 && known > 0 ? shape.map((n) => (n === -1 ? size / known : n)) : [...shape];
  if (holes > 1 || sizeOf(full) !== size || full.some((n) => !Number.isInteger(n) || n < 0)) shapeError(`${size} elements cannot take the shape ${showShape(shape)}`, "keep the number of elements; at most one axis may be -1");
  return full;
}
