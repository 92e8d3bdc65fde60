/** How the slopes of heads are laid out. */
export interface SlopeOptions {
  /** The steepest exponent, reached by the last head: slopes run down to 2^−maxBias. Default 8, as in the paper; MPT's `alibi_bias_max`. */
  readonly maxBias?: number;
}

/** The slopes of n = 2ᵏ heads: a geometric sequence that starts at 2^(−8/n) and has that same ratio (section 3). */
function geometric(n: number, maxBias: number): number[] {
  return Array.from({ length: n }, (_, h) => 2 ** ((-maxBias * (h + 1)) / n));
}

/**
 * The slope m of each head (Press et al., 2022, arXiv:2108.12409). For a head count that is no power of two, as the authors' code
 * has it: the slopes of the next lower power, and then every other one of its double. MPT's rule gives the same numbers.
 *
 * @param heads  at least 1
 * @returns `[heads]`, all positive
 */
export function alibiSlopes(heads: number, { maxBias = 8 }: SlopeOptions = {}): Float64Array {
  const lower = 2 ** Math.floor(Math.log2(heads));
  const between = geometric(2 * lower, maxBias).filter((_, h) => h % 2 === 0);
  return Float64Array.from([...geometric(lower, maxBias), ...between.slice(0, heads - lower)]);
}

/** What a head of slope m adds to the score of query i and key j: m · (j − i), or −m · |i − j| to both sides alike. */
export function alibiBias(m: number, i: number, j: number, symmetric = false): number {
  return symmetric ? -m * Math.abs(i - j) : m * (j - i);
}
