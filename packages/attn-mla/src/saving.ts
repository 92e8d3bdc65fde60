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

/** Of DeepSeek-V2 and of DeepSeek 67B, which its paper compares it with: numbers a token, and bits that each takes there. */
const PAPER = { latent: 60 * (512 + 64), bits: 6, other: 95 * 8 * 2 * 128, otherBits: 16 } as const;

const percent = (part: number, whole: number): string => `${((1 - part / whole) * 100).toFixed(1)} %`;
const count = (n: number): string => n.toLocaleString("en");

/**
 * What the latent cache saves, like for like: against multi-head and grouped-query attention with the same heads and head sizes.
 *
 * The paper states two other figures (DeepSeek-V2, 2024, arXiv:2405.04434). Its table 1 counts heads of nopeDim and finds the cache of
 * grouped-query attention with 2.25 groups. Its abstract says 93.3 % less than DeepSeek 67B: that is another model, with 8 key heads
 * of 128 in 95 layers, whose numbers take 16 bits, where those of DeepSeek-V2 are quantised to 6 on average (section 3.2.3).
 */
export function cacheSaving({ layers, heads, kvRank, nopeDim, ropeDim, valueDim, kvHeads = Math.max(1, Math.floor(heads / 4)) }: SavingOptions): CacheSaving {
  const head = nopeDim + ropeDim + valueDim;
  const latent = layers * (kvRank + ropeDim);
  const multiHead = layers * heads * head;
  const groupedQuery = layers * kvHeads * head;
  const equalGroups = (kvRank + ropeDim) / (2 * nopeDim);
  const against = (name: string, numbers: number): string => `${name} ${count(numbers)}, ${numbers >= latent ? `of which it saves ${percent(latent, numbers)}` : "which is less"}`;
  const text = [
    `a token takes ${count(latent)} numbers (${layers} layers of ${kvRank} + ${ropeDim})`,
    against(`multi-head attention of ${heads} such heads would take`, multiHead),
    against(`grouped-query attention of ${kvHeads} would take`, groupedQuery),
    `as the paper counts, grouped-query attention with ${Number(equalGroups.toFixed(2))} heads of ${nopeDim} has a cache of this size`,
    `the paper's ${percent(PAPER.latent * PAPER.bits, PAPER.other * PAPER.otherBits)} is against another model, DeepSeek 67B: ${count(PAPER.latent)} numbers of ${PAPER.bits} bits in place of ${count(PAPER.other)} of ${PAPER.otherBits}; by numbers alone ${percent(PAPER.latent, PAPER.other)}`,
  ].join("\n");
  return { latent, multiHead, groupedQuery, equalGroups, text };
}
