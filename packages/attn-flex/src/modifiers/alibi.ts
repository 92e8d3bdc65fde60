import { capture, scoreMod, type Program } from "@polyhead/core";
import { drawnBias, type Drawn } from "../drawn.ts";
import { extent } from "./extent.ts";

/**
 * The slopes of ALiBi: for n = 2^k heads, 2^(−8/n), 2^(−16/n), … 2^−8; for other counts those of the power of two below, and
 * between them as many as are missing of the power of two above, every other one (the authors' code).
 */
export function alibiSlopes(heads: number): Float32Array {
  const n = 2 ** Math.floor(Math.log2(heads));
  const of = (count: number): number[] => Array.from({ length: count }, (_, h) => 2 ** ((-8 * (h + 1)) / count));
  return Float32Array.from([...of(n), ...of(2 * n).filter((_, h) => h % 2 === 0).slice(0, heads - n)]);
}

/**
 * Far keys count less, by a slope of each head: `score + slope[h] · (kv − q)`. Press et al. 2021, "Train Short, Test Long",
 * arXiv:2108.12409, §3.
 *
 * @throws PolyheadError `FLEX_EXTENT`
 */
export function alibi(heads: number): Program & Drawn {
  const slopes = capture(alibiSlopes(extent("alibi", "heads", heads)), [heads], { name: "slopes" });
  return drawnBias(`ALiBi, ${String(heads)} heads`, scoreMod`score + ${slopes}[h] * (kv - q)`, 16);
}
