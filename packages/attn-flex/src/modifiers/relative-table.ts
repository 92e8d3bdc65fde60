import { placeholder, scoreMod, type Program } from "@polyhead/core";
import { drawnBias, type Drawn } from "../drawn.ts";
import { extent } from "./extent.ts";

/**
 * A learned number for every head and distance, `score + table[h, clamp(kv − q, −reach, reach) + reach]`: the bias of T5 (Raffel et
 * al. 2019, arXiv:1910.10683, §2.1) with the clipped distances of Shaw et al. 2018, arXiv:1803.02155, §3.2. The table has no
 * numbers of its own: pass `tables: { [name]: tensor }` of shape `[heads, 2 · reach + 1]`. The picture shows which distances
 * share a number.
 *
 * @throws PolyheadError `FLEX_EXTENT`
 */
export function relativeTable({ heads, reach, name = "relative" }: { readonly heads: number; readonly reach: number; readonly name?: string }): Program & Drawn {
  const r = extent("relativeTable", "reach", reach, 0);
  const table = placeholder([extent("relativeTable", "heads", heads), 2 * r + 1], { name });
  const program = scoreMod`score + ${table}[h, clamp(kv - q, -${r}, ${r}) + ${r}]`;
  return drawnBias(`relative table, ${String(r)} to both sides`, program, Math.max(16, 2 * r), ({ q, kv }) => Math.min(r, Math.max(-r, kv - q)));
}
