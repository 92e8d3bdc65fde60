import { formula } from "@polyhead/expr";
import type { Scalar } from "@polyhead/gpu";
import { shapeError, showShape, TensorError } from "../errors.ts";
import { markSeenIn } from "../kernels/sampling-seen.ts";
import { requireF32, requireIndices } from "../operands.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";
import { map } from "./map.ts";
import { rowsOf } from "./sampling.ts";

/**
 * Sets seen[n, id] to 1 for every id of row n, in place: the tape does not see it. Ids that are not below V mark nothing, such as
 * 0xffffffff for padding.
 *
 * @param seen  u32 [N, V], contiguous
 * @param ids  u32 [N] or [N, T]
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`.
 */
export function markSeen(seen: Tensor, ids: Tensor): void {
  requireIndices(ids, "markSeen");
  if (seen.dtype !== "u32") throw new TensorError("TENSOR_DTYPE", `markSeen in a table of dtype ${seen.dtype}`, "make it with engine.zeros([rows, vocab], 'u32')");
  const [rows] = rowsOf(seen, "markSeen");
  if (ids.rank < 1 || ids.rank > 2 || ids.shape[0] !== rows || !seen.isContiguous) shapeError(`markSeen of ids ${showShape(ids.shape)} in a table ${showShape(seen.shape)}`, "give ids [N] or [N, T] for a contiguous table [N, V]");
  seen.engine.noGrad(() => { seen.engine.scope(() => { markSeenIn(seen, contiguous(ids), ids.size / rows); }); });
}

const penalty = formula({ x: "f32", seen: "i32", penalty: "f32" })`seen == 0 ? x : x < 0 ? x * penalty : x / penalty`;

/**
 * The repetition penalty of Keskar et al. 2019 (arXiv:1909.05858), as Hugging Face applies it: logits of ids that were seen are divided
 * by `factor` where positive, else multiplied.
 *
 * @param x  logits [N, V], f32
 * @param seen  u32 [N, V], from `markSeen`
 * @throws TensorError `TENSOR_SHAPE`, `TENSOR_DTYPE`.
 */
export function penaliseSeen(x: Tensor, seen: Tensor, factor: Scalar): Tensor {
  requireF32(x, "penaliseSeen");
  const [rows, length] = rowsOf(x, "penaliseSeen");
  if (seen.rank !== 2 || seen.shape[0] !== rows || seen.shape[1] !== length) shapeError(`penaliseSeen of logits ${showShape(x.shape)} with a table ${showShape(seen.shape)}`, "give both the same shape");
  return x.engine.noGrad(() => map(penalty, { x, seen, penalty: factor }));
}
