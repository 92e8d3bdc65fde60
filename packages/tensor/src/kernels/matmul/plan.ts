import type { BufferSlice } from "@polyhead/gpu";
import { shapeError, showShape } from "../../errors.ts";
import { broadcastShapes, contiguousStrides, type Shape } from "../../shape.ts";
import type { Tensor } from "../../tensor.ts";
import { contiguous, expand } from "../../views.ts";
import type { MatmulParams } from "./family.ts";

/** A batch axis as the kernel walks it: its length and the strides of A, B and C. */
interface BatchAxis {
  readonly n: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  /** Summed, not kept. */
  readonly folded: boolean;
}

/** A matrix in memory: rows at `stride`, elements of a row next to each other. */
interface Operand {
  readonly tensor: Tensor;
  /** Memory holds the transpose of the logical matrix. */
  readonly trans: boolean;
  readonly stride: number;
}

/** A product reduced to what a kernel takes. */
export interface MatmulPlan {
  readonly a: BufferSlice;
  readonly b: BufferSlice;
  readonly params: Omit<MatmulParams, "alpha" | "cAt">;
  /** Batches kept: workgroups along z. */
  readonly batches: number;
  readonly transA: boolean;
  readonly transB: boolean;
  readonly vecA: boolean;
  readonly vecB: boolean;
  readonly vecC: boolean;
}

/** The shapes of a product, before anything is run. */
export interface Sizes {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: readonly number[];
}

/** @throws TensorError `TENSOR_SHAPE` when the inner lengths differ or the batch axes do not broadcast. */
export function sizesOf(a: Tensor, b: Tensor, transA: boolean, transB: boolean): Sizes {
  const shown = `${showShape(a.shape)}${transA ? "ᵀ" : ""} · ${showShape(b.shape)}${transB ? "ᵀ" : ""}`;
  if (a.rank < 2 || b.rank < 2) shapeError(`matmul ${shown}: both need two axes at least`, "reshape a vector to [1, n] or [n, 1]");
  const [m, k] = (transA ? [a.shape.at(-1), a.shape.at(-2)] : a.shape.slice(-2)) as [number, number];
  const [kb, n] = (transB ? [b.shape.at(-1), b.shape.at(-2)] : b.shape.slice(-2)) as [number, number];
  if (k !== kb) shapeError(`matmul ${shown}: inner lengths ${k} and ${kb} differ`, "make them equal, or set transA or transB");
  return { m, n, k, batch: broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2)) };
}

/** Finds the axis that is contiguous; copies where there is none. A row or column of length 1 lies either way. */
function operand(x: Tensor, trans: boolean, kAxis: -1 | -2): Operand {
  const [rows, columns] = x.shape.slice(-2) as [number, number];
  const [s0, s1] = x.strides.slice(-2) as [number, number];
  const plain = s1 === 1 || columns === 1;
  const flipped = s0 === 1 || rows === 1;
  // Where both hold, along K reads four numbers at once.
  const flip = flipped && (!plain || (kAxis === -2 && s0 === 1 && columns === 1));
  if (flip) return { tensor: x, trans: !trans, stride: s1 };
  if (plain) return { tensor: x, trans, stride: s0 };
  const copy = contiguous(x);
  return { tensor: copy, trans, stride: columns };
}

/** Strides of x's batch axes, aligned to `batch`; 0 where x is broadcast. */
function batchStrides(x: Tensor, batch: Shape): number[] {
  const pad = batch.length - (x.rank - 2);
  return batch.map((_, i) => (i < pad || x.shape[i - pad] === 1 ? 0 : x.strides[i - pad]!));
}

/** Neighbouring axes that together step evenly through A, B and C are one axis. */
function merge(axes: readonly BatchAxis[]): BatchAxis[] {
  const merged: BatchAxis[] = [];
  for (const axis of axes) {
    const outer = merged.at(-1);
    const even = outer?.folded === axis.folded && outer.a === axis.a * axis.n && outer.b === axis.b * axis.n && outer.c === axis.c * axis.n;
    if (even) merged[merged.length - 1] = { ...axis, n: axis.n * outer.n };
    else merged.push(axis);
  }
  return merged;
}

/** A binding that holds all of `x`, and where in it x starts: the whole storage where a binding may be that large. */
export function windowOf(x: Tensor): { slice: BufferSlice; at: number } {
  const whole = x.all();
  const { maxBindingBytes } = x.engine.gpu.caps;
  if (whole.size <= maxBindingBytes) return { slice: whole, at: x.offset };
  const bytes = x.dtype === "f16" ? 2 : 4;
  const start = Math.floor((x.offset * bytes) / 256) * 256;
  const last = x.shape.reduce((sum, n, i) => sum + (n - 1) * x.strides[i]!, x.offset);
  const end = Math.min(whole.size, Math.ceil(((last + 1) * bytes) / 256) * 256);
  return { slice: { ...whole, offset: start, size: end - start }, at: x.offset - start / bytes };
}

/**
 * Lays out op(a) · op(b).
 *
 * @param kept   batch shape of the result, right-aligned with the operands'; 1 where their axis is summed.
 * @param target strides of the result (batch axes of `kept`, then rows); columns are contiguous.
 * @returns undefined when two separate batch axes would have to be summed: sum the whole product instead.
 */
export function planMatmul(a: Tensor, b: Tensor, transA: boolean, transB: boolean, kept: Shape | undefined, target: readonly number[] | undefined): MatmulPlan | undefined {
  const sizes = sizesOf(a, b, transA, transB);
  const { n, batch } = sizes;
  let { m, k } = sizes;
  const A = operand(a, transA, transA ? -2 : -1);
  const B = operand(b, transB, transB ? -1 : -2);
  const outBatch = kept ?? batch;
  const pad = batch.length - outBatch.length;
  const outStrides = target ?? contiguousStrides([...outBatch, m, n]);
  let lda = A.stride;
  let ldc = outStrides.at(-2)!;
  const [as, bs] = [batchStrides(A.tensor, batch), batchStrides(B.tensor, batch)];
  const axes = batch.flatMap((length, i): BatchAxis[] => {
    if (length === 1) return [];
    const folded = i < pad || outBatch[i - pad] === 1;
    return [{ n: length, a: as[i]!, b: bs[i]!, c: folded ? 0 : outStrides[i - pad]!, folded }];
  });
  const folds = merge(axes.filter(({ folded }) => folded));
  const keeps = axes.filter(({ folded }) => !folded);
  // A batch of rows against one B is more rows. The stride of a single row is anybody's choice.
  for (let axis = keeps.at(-1); axis?.b === 0 && !A.trans && (m === 1 || (axis.a === m * lda && axis.c === m * ldc)); axis = keeps.at(-1)) {
    if (m === 1) [lda, ldc] = [axis.a, axis.c];
    m *= axis.n;
    keeps.pop();
  }
  const walks = merge(keeps);
  // A summed batch axis that continues K is more K.
  const [kOfA, kOfB] = [A.trans ? lda : 1, B.trans ? 1 : B.stride];
  for (let axis = folds.at(-1); axis?.a === k * kOfA && axis.b === k * kOfB; axis = folds.at(-1)) {
    k *= axis.n;
    folds.pop();
  }
  if (folds.length > 1) return undefined;
  if (walks.length > 3) {
    // Copies step evenly, so they merge into one axis.
    const full = (x: Tensor): Tensor => contiguous(expand(x, [...batch, ...x.shape.slice(-2)]));
    return planMatmul(full(a), full(b), transA, transB, kept, target);
  }
  const none: BatchAxis = { n: 1, a: 0, b: 0, c: 0, folded: false };
  const [x0, x1, x2] = [none, none, none, ...walks].slice(-3) as [BatchAxis, BatchAxis, BatchAxis];
  const fold = folds[0] ?? none;
  const [aWindow, bWindow] = [windowOf(A.tensor), windowOf(B.tensor)];
  const fours = (...values: number[]): boolean => values.every((value) => value % 4 === 0);
  return {
    a: aWindow.slice,
    b: bWindow.slice,
    params: {
      m, n, k, lda, ldb: B.stride, ldc, aAt: aWindow.at, bAt: bWindow.at,
      n1: x1.n, n2: x2.n, a0: x0.a, a1: x1.a, a2: x2.a, b0: x0.b, b1: x1.b, b2: x2.b, c0: x0.c, c1: x1.c, c2: x2.c,
      folds: fold.n, aFold: fold.a, bFold: fold.b,
    },
    batches: walks.reduce((product, axis) => product * axis.n, 1),
    transA: A.trans,
    transB: B.trans,
    vecA: fours(A.trans ? m : k, lda, aWindow.at, fold.a, x0.a, x1.a, x2.a),
    vecB: fours(B.trans ? k : n, B.stride, bWindow.at, fold.b, x0.b, x1.b, x2.b),
    vecC: fours(n, ldc, x0.c, x1.c, x2.c),
  };
}
