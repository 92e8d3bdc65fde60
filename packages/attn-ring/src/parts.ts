import type { KernelInputs, KernelOutputs } from "@polyhead/core";
import { flatGrid } from "@polyhead/gpu";
import { concat, type Engine, type Tensor } from "@polyhead/tensor";
import { limitsKernel } from "./kernels/limits.ts";
import { merge } from "./kernels/merge.ts";
import type { Piece } from "./layout.ts";

/** Below any log-sum-exp of finite scores. */
const UNSEEN = -1e37;

/** The rows of a `[B, H, T, D]` tensor, or of `[B, H, T]`, that belong to each piece. */
export function cutRows(x: Tensor, pieces: readonly Piece[]): Tensor[] {
  if (pieces.length === 1) return [x];
  const { shape: [B = 0, H = 0, , ...rest], strides } = x;
  let at = 0;
  // As views, which f16 heads in fours may be read through, though no operator takes them.
  return pieces.map(({ length }) => x.view({ shape: [B, H, length, ...rest], strides, offset: x.offset + ((at += length) - length) * strides[2]! }));
}

/** The pieces as one tensor. */
export const joinRows = (parts: readonly Tensor[]): Tensor => (parts.length === 1 ? parts[0]! : concat(parts, 2));

/** Attention over the keys seen so far. */
export type Partial = KernelOutputs<Tensor>;

/** Attention over the keys of both; o of `before` is overwritten. */
export function mergePartials(before: Partial, part: Partial): Partial {
  const { o, lse } = before;
  const { engine } = o;
  const newLse = engine.empty(lse.shape);
  const quads = o.shape[3]! / 4;
  const count = lse.size * quads;
  engine.gpu.dispatch(merge, { part: part.o.contiguous().slice(), partLse: part.lse.contiguous().slice(), lse: lse.slice(), o: o.slice(), newLse: newLse.slice() }, { count, quads, unseen: UNSEEN, minusInfinity: -Infinity }, flatGrid(count, 64));
  return { o, lse: newLse };
}

/** Attention over no keys. */
export const nothingSeen = (engine: Engine, [B = 0, Hq = 0]: readonly number[], rows: number, Dv: number): Partial => ({ o: engine.zeros([B, Hq, rows, Dv]), lse: engine.full([B, Hq, rows], -Infinity) });

/** Padding as rows of a run of keys. */
export function limitsOf({ starts, lengths }: Pick<KernelInputs<Tensor>, "starts" | "lengths">, { start, stride, length }: Piece, kvOffset: number): Pick<KernelInputs<Tensor>, "starts" | "lengths"> {
  const inRun = (limits: Tensor): Tensor => {
    const { engine } = limits;
    const found = engine.empty(limits.shape, "i32");
    engine.gpu.dispatch(limitsKernel, { rows: limits.contiguous().slice(), limits: found.slice() }, { count: limits.size, start: start - kvOffset, stride, length }, flatGrid(limits.size, 64));
    return found;
  };
  return { ...(starts && { starts: inRun(starts) }), ...(lengths && { lengths: inRun(lengths) }) };
}
