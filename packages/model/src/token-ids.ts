import { PolyheadError } from "@polyhead/core";
import { checkIds, type Engine, type Tensor } from "@polyhead/tensor";

/** A target that does not count in a loss. */
export const IGNORED = -100;

/** Ids u32 `[batch, tokens]`. @throws TensorError `TENSOR_VALUE` naming the first one outside the vocabulary. */
export function idTensor(engine: Engine, ids: ArrayLike<number>, batch: number, vocab: number): Tensor {
  checkIds(ids, vocab);
  return engine.tensor(ids, [batch, ids.length / batch], { dtype: "u32" });
}

/** Targets i32 `[batch, tokens]`, where −100 does not count. @throws TensorError `TENSOR_VALUE` naming the first one that is neither that nor in the vocabulary. */
export function targetTensor(engine: Engine, targets: ArrayLike<number>, batch: number, vocab: number): Tensor {
  checkIds(targets, vocab, IGNORED);
  return engine.tensor(targets, [batch, targets.length / batch], { dtype: "i32" });
}

/** @throws PolyheadError `MODEL_IDS` unless ids are `[batch, tokens]`. */
export function checkRank(ids: Tensor): void {
  if (ids.rank !== 2) throw new PolyheadError("MODEL_IDS", `ids of shape [${ids.shape.join(", ")}]; expected [batch, tokens]`, "reshape them to [1, tokens] for a single sequence");
}
