import { shapeError, showShape, TensorError } from "../errors.ts";
import { embeddingRows, embeddingRowsBackward } from "../kernels/embedding-rows.ts";
import { requireF32, requireIndices } from "../operands.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

/**
 * Rows of a table: y[..., :] = table[ids[...], :].
 *
 * The gradient sorts the positions by id on the GPU (stable radix sort), then adds up each row's own list: linear in the
 * positions plus the table, whatever the ids are, and the same bits on every run.
 *
 * @param table  [V, D], f32, or f16, which gets no gradient
 * @param ids    [...], u32 or i32. One outside of 0..V − 1 gives a row of NaN: check them by `checkIds` while they are on the CPU.
 * @returns [..., D], f32
 * @throws TensorError `TENSOR_SHAPE` unless the table has two axes, `TENSOR_DTYPE`.
 */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  if (table.dtype !== "f16") requireF32(table, "embedding");
  requireIndices(ids, "embedding");
  if (table.rank !== 2) shapeError(`embedding from a table of shape ${showShape(table.shape)}`, "give a table of shape [vocabulary, width]");
  const [vocab, length] = table.shape as [number, number];
  const { engine } = table;
  return engine.scope(() => {
    const [rows, positions] = engine.noGrad(() => [contiguous(table), contiguous(ids)] as const);
    const y = engine.noGrad(() => embeddingRows(rows, positions).reshape([...ids.shape, length]));
    return link(y, {
      name: "embedding",
      inputs: [table],
      saves: [positions],
      backward: (g, [kept]) => [embeddingRowsBackward(contiguous(g).reshape([kept!.size, length]), kept!, vocab)],
    });
  });
}

/**
 * Makes sure that ids name rows of a table, before they go to the GPU, which could not report it.
 *
 * @param also  an id that is allowed besides, such as the `ignoreIndex` of a loss
 * @throws TensorError `TENSOR_VALUE` with the first bad position and value.
 */
export function checkIds(ids: ArrayLike<number>, vocab: number, also?: number): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (id === also || (Number.isInteger(id) && id >= 0 && id < vocab)) continue;
    throw new TensorError("TENSOR_VALUE", `id ${id} at position ${i}; ids are whole numbers from 0 to ${vocab - 1}`, "encode the text with the vocabulary of this model");
  }
}
