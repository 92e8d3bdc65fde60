import { PolyheadError } from "../errors.ts";

/** A float64 array with its shape, row-major. */
export interface Array64 {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

/** Numbers of an array of a shape. */
export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, n) => product * n, 1);

/** An array of zeros. */
export function zeros64(shape: readonly number[]): Array64 {
  return { data: new Float64Array(sizeOf(shape)), shape: [...shape] };
}

/**
 * Any numbers as a float64 array.
 * @throws PolyheadError REF_SHAPE if the count does not fit the shape.
 */
export function array64(data: ArrayLike<number>, shape: readonly number[]): Array64 {
  if (data.length !== sizeOf(shape)) {
    throw new PolyheadError("REF_SHAPE", `${String(data.length)} numbers for shape [${shape.join(", ")}]; expected ${String(sizeOf(shape))}`, "give as many numbers as the shape holds");
  }
  return { data: Float64Array.from(data), shape: [...shape] };
}

/** Flat offset of an index in a shape whose axes of size 1 are broadcast. */
export function broadcastOffset(shape: readonly number[], index: readonly number[]): number {
  let offset = 0;
  for (const [axis, n] of shape.entries()) offset = offset * n + (n === 1 ? 0 : (index[axis] ?? 0));
  return offset;
}
