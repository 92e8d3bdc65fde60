/** The model whose caches are compared. */
export interface SavingOptions {
  readonly layers: number;
  readonly heads: number;
  readonly kvRank: number;
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
  /** Key heads of the grouped-query model it is compared with; default a quarter of the heads, at least 1. */
  readonly kvHeads?: number;
}

/** Numbers that a cache holds for a token, all layers together. */
export interface CacheSaving {
  /** kvRank + ropeDim a layer. */
  readonly latent: number;
  /** Keys and values of every head, of the same head sizes. */
  readonly multiHead: number;
  /** Keys and values of `kvHeads` heads, of the same head sizes. */
  readonly groupedQuery: number;
  /** Key heads of a grouped-query model with a cache as small: 2.25 for DeepSeek-V2 as its paper counts, of heads of nopeDim. */
  readonly equalGroups: number;
  /** All that in sentences, with the paper's own figure beside it. */
  readonly text: string;
}

/**
 * What the latent cache saves, like for like: against multi-head and grouped-query attention with the same heads and head sizes.
 *
 * The paper states two figures: a cache equal to that of grouped-query attention with 2.25 groups (table 1), and 93.3 % less than
 * DeepSeek 67B, another model with grouped-query attention and f16 numbers where DeepSeek-V2's are quantised (DeepSeek-V2, 2024,
 * arXiv:2405.04434, abstract and section 3.2.3).
 */
export function cacheSaving({ layers, heads, kvRank, nopeDim, ropeDim, valueDim, kvHeads = Math.max(1, Math.floor(heads / 4)) }: SavingOptions): CacheSaving {
  const head = nopeDim + ropeDim + valueDim;
  const latent = layers * (kvRank + ropeDim);
  const multiHead = layers * heads * head;
  const groupedQuery = layers * kvHeads * head;
  const equalGroups = (kvRank + ropeDim) / (2 * nopeDim);
  const against = (name: string, numbers: number): string => `${name} ${numbers.toLocaleString("en")}, ${numbers >= latent ? `of which it saves ${((1 - latent / numbers) * 100).toFixed(1)} %` : `which is less`}`;
  const text = [
    `a token takes ${latent.toLocaleString("en")} numbers (${layers} layers of ${kvRank} + ${ropeDim})`,
    against(`multi-head attention of ${heads} such heads would take`, multiHead),
    against(`grouped-query attention of ${kvHeads} would take`, groupedQuery),
    `as the paper counts, grouped-query attention with ${equalGroups} heads of ${nopeDim} has a cache of this size; its 93.3 % is against DeepSeek 67B, another model`,
  ].join("\n");
  return { latent, multiHead, groupedQuery, equalGroups, text };
}
