import { PolyheadError, type Count, type KeyPages } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { gatherPagesKernel } from "./kernels/gather-pages.ts";

/**
 * The first `length` rows of every sequence, f32 `[B, H, length, D]`, out of a pool `[P, H, size, D]` of f32 or f16. Rows from
 * `inUse` on are 0, whatever the pool holds. Pages carry no gradient.
 *
 * A pool may be the first features of another one: values that are a part of their keys.
 *
 * @throws PolyheadError `ATTN_CACHE_GRAD` where one is wanted.
 */
export function gatherPages(pool: Tensor, { table, size }: KeyPages<Tensor>, length: number, inUse: Count = length): Tensor {
  const { engine } = pool;
  if (engine.gradEnabled && pool.requiresGrad) throw new PolyheadError("ATTN_CACHE_GRAD", "a gradient is wanted of keys or values that lie in pages", "pages hold what decoding has stored: give keys and values as rows to train");
  return engine.noGrad(() =>
    engine.scope(() => {
      const [batch = 0, pages = 0] = table.shape;
      const [, heads = 0, , wanted = 0] = pool.shape;
      const part = !pool.isContiguous;
      const features = part ? pool.strides[2]! : wanted;
      const rows = engine.empty([batch, heads, length, features]);
      const dtype = pool.dtype === "f16" ? "f16" : "f32";
      const wide = features % 4 === 0;
      const step = wide ? features / 4 : features;
      engine.gpu.dispatch(
        gatherPagesKernel({ dtype, wide }),
        { pool: part ? pool.all() : pool.slice(), table: table.contiguous().slice(), rows: rows.slice() },
        { heads, length, features: step, shift: Math.log2(size), pages, inUse },
        [Math.ceil((length * step) / 64), batch * heads, 1],
      );
      return part ? rows.narrow(3, 0, wanted) : rows;
    }),
  );
}
