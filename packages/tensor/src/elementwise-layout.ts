import { OFFSET_ALIGNMENT, type BufferSlice } from "@polyhead/gpu";
import { shapeError, showShape } from "./errors.ts";
import type { Shape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/**
 * How a group of four neighbouring outputs finds its numbers in an input. `same`: the four at the same place; `row`: four of
 * a vector that repeats; `splat`: one number for all four, repeated in blocks.
 */
export type GroupRead = "same" | "row" | "splat";

/** A way through the inputs of an elementwise kernel: the key names the code, the rest are its arguments. */
export type ElementwiseLayout =
  | { readonly kind: "groups"; readonly reads: readonly GroupRead[]; readonly params: Readonly<Record<string, number>>; readonly slices: readonly BufferSlice[] }
  | { readonly kind: "strided"; readonly rank: number; readonly params: Readonly<Record<string, number>>; readonly slices: readonly BufferSlice[] };

const MAX_RANK = 6;
/** Larger than any group's number, so that dividing by it gives 0. */
const WHOLE = 0xffff_ffff;

/** Chooses vec4 access where every input allows it, else strides, without a copy in either case. */
export function layOut(inputs: readonly Tensor[], shape: Shape): ElementwiseLayout {
  if (inputs.every((x) => isPlain(x, shape))) return { kind: "groups", reads: inputs.map(() => "same"), params: {}, slices: inputs.map((x) => x.slice()) };
  const { axes, strides } = merge(shape, inputs.map((x) => broadcastStrides(x, shape)));
  const blocks = inputs.map((x, i) => groupRead(x, axes, strides[i]!));
  if (blocks.every((block) => block !== undefined)) {
    const params: Record<string, number> = {};
    blocks.forEach(({ divide, period }, i) => {
      params[`divide${i}`] = divide;
      params[`period${i}`] = period;
    });
    return { kind: "groups", reads: blocks.map(({ read }) => read), params, slices: blocks.map(({ slice }) => slice) };
  }
  return strided(inputs, axes, strides);
}

function isPlain(x: Tensor, shape: Shape): boolean {
  return (x.offset * 4) % OFFSET_ALIGNMENT === 0 && x.rank === shape.length && x.isContiguous && x.shape.every((n, i) => n === shape[i]);
}

function broadcastStrides(x: Tensor, shape: Shape): number[] {
  const pad = shape.length - x.rank;
  return shape.map((n, i) => (i < pad || (x.shape[i - pad] === 1 && n !== 1) ? 0 : x.strides[i - pad]!));
}

/** Joins neighbouring axes that every input walks as one. */
function merge(shape: Shape, all: readonly (readonly number[])[]): { axes: number[]; strides: number[][] } {
  const axes: number[] = [];
  const strides: number[][] = all.map(() => []);
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const n = shape[axis]!;
    if (n === 1) continue;
    const inner = axes[0];
    if (inner !== undefined && all.every((s, i) => s[axis] === strides[i]![0]! * inner)) {
      axes[0] = n * inner;
      continue;
    }
    axes.unshift(n);
    all.forEach((s, i) => strides[i]!.unshift(s[axis]!));
  }
  return { axes, strides };
}

interface Block {
  readonly read: GroupRead;
  readonly divide: number;
  readonly period: number;
  readonly slice: BufferSlice;
}

/** An input whose element at output i is `(i / inner) % length`, with `inner` and `length` fit for groups of four. */
function groupRead(x: Tensor, axes: readonly number[], strides: readonly number[]): Block | undefined {
  if ((x.offset * 4) % OFFSET_ALIGNMENT !== 0) return undefined;
  let end = axes.length;
  while (end > 0 && strides[end - 1] === 0) end--;
  let start = end;
  let length = 1;
  while (start > 0 && strides[start - 1] === length) length *= axes[--start]!;
  if (strides.slice(0, start).some((s) => s !== 0)) return undefined;
  const { buffer } = x.storage;
  const offset = x.offset * 4;
  const slice = { buffer, offset, size: Math.min(Math.ceil(length / 4) * 16, buffer.bytes - offset) };
  if (length === 1) return { read: "splat", divide: WHOLE, period: 1, slice };
  if (end === axes.length) {
    if (start === 0) return { read: "same", divide: 1, period: 1, slice };
    return length % 4 === 0 ? { read: "row", divide: 1, period: length / 4, slice } : undefined;
  }
  const inner = axes.slice(end).reduce((product, n) => product * n, 1);
  return inner % 4 === 0 ? { read: "splat", divide: inner / 4, period: length, slice } : undefined;
}

/** Ranks are rounded up to 2, 4 or 6: a third of the kernels for a division or two. */
function strided(inputs: readonly Tensor[], axes: readonly number[], strides: readonly (readonly number[])[]): ElementwiseLayout {
  if (axes.length > MAX_RANK) shapeError(`elementwise operands that need ${axes.length} axes, ${showShape(axes)}`, `take contiguous() of the views, or merge axes by reshape: at most ${MAX_RANK}`);
  const rank = Math.max(2, axes.length + (axes.length % 2));
  const pad = rank - axes.length;
  const params: Record<string, number> = {};
  for (let axis = 0; axis < rank; axis++) {
    params[`n${axis}`] = axis < pad ? 1 : axes[axis - pad]!;
    inputs.forEach((_, i) => (params[`step${i}_${axis}`] = axis < pad ? 0 : strides[i]![axis - pad]!));
  }
  inputs.forEach((x, i) => (params[`start${i}`] = x.offset));
  return { kind: "strided", rank, params, slices: inputs.map((x) => x.all()) };
}
