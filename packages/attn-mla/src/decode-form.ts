import type { LatentLayout } from "./layout.ts";

/** `absorbed`: queries are brought to the latent. `naive`: cached latents are brought back to keys and values. `auto`: what takes fewer products. */
export type DecodeForm = "auto" | "absorbed" | "naive";

type Sizes = Pick<LatentLayout, "kvRank" | "nopeDim" | "ropeDim" | "valueDim">;

/**
 * Multiplications of one head for `queries` new rows among `keys` rows in all. With r = kvRank, n, ρ and v the head sizes:
 * absorbed, r(n + v) a query for q̃ and the output, and 2r + ρ a score with its share of the output; naive, r(n + v) a key
 * for keys and values, and n + ρ + v a score.
 */
export function products({ kvRank: r, nopeDim: n, ropeDim, valueDim: v }: Sizes, { queries, keys }: { readonly queries: number; readonly keys: number }): { readonly absorbed: number; readonly naive: number } {
  return {
    absorbed: queries * r * (n + v) + queries * keys * (2 * r + ropeDim),
    naive: keys * r * (n + v) + queries * keys * (n + ropeDim + v),
  };
}

/** Whether queries are brought to the latent, of `queries` new rows among `keys` rows in all. */
export function isAbsorbed(form: DecodeForm, sizes: Sizes, rows: { readonly queries: number; readonly keys: number }): boolean {
  if (form !== "auto") return form === "absorbed";
  const { absorbed, naive } = products(sizes, rows);
  return absorbed <= naive;
}

/** Up to how many queries at once `auto` absorbs, in a text of `keys` rows: 170 in a long one, for DeepSeek's 512, 128 and 128. */
export function latentRows(sizes: Sizes, keys: number): number {
  const { kvRank: r, nopeDim: n, valueDim: v } = sizes;
  const slope = keys * (2 * r - n - v) + r * (n + v);
  return slope <= 0 ? Infinity : Math.floor((keys * r * (n + v)) / slope);
}
