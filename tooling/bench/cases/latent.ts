import type { Case, Contender } from "../contender.ts";
import { latentProblem, latentShape, type LatentProblem, type LatentShape } from "./latent-problem.ts";
import { latentReference } from "./latent-reference.ts";

/** Rows that the cache holds before the first step. */
const ROWS = [1024, 8192] as const;
const STEPS = 2;

/** Multiply-adds of the absorbed form, two operations each: products, then scores and outputs against the latents. */
function absorbedFlops({ width, heads, kvRank, nopeDim, ropeDim, valueDim }: LatentShape, keys: number): number {
  const products = width * (heads * (nopeDim + ropeDim) + kvRank + ropeDim) + heads * kvRank * (nopeDim + valueDim) + heads * valueDim * width;
  return 2 * (products + heads * keys * (2 * kvRank + ropeDim));
}

/** A step of latent attention, absorbed and naive; the reference in float64 takes seconds at 8,192 rows. */
export function latentCases(contenders: readonly Contender<LatentProblem>[], { cases, quick }: { readonly cases: RegExp; readonly quick: boolean }): (() => Case<LatentProblem>)[] {
  const named = ROWS.slice(0, quick ? 1 : undefined).map((rows) => ({ rows, name: `mla ${String(rows)}` })).filter(({ name }) => cases.test(name));
  return named.map(({ rows, name }) => () => {
    const problem = latentProblem(latentShape, rows, STEPS);
    const want = latentReference(problem);
    const scale = want.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    return {
      bench: "decode",
      name,
      problem,
      contenders,
      flops: absorbedFlops(latentShape, rows),
      perRun: STEPS,
      warmups: 1,
      error: (output) => want.reduce((worst, value, i) => Math.max(worst, Math.abs((output[i] ?? NaN) - value) / scale), 0),
      tolerance: 1e-4,
    };
  });
}
