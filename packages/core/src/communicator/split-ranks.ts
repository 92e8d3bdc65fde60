/** What one rank fills in for a split: its color and key, and zeros in everybody else's place, so that a sum over the ranks holds all. */
export function splitChoice(size: number, rank: number, color: number, key: number): Float64Array {
  const choices = new Float64Array(2 * size);
  choices.set([color, key], 2 * rank);
  return choices;
}

/** Ranks that chose `color`, ordered by key, then by rank, from the sum of all choices. */
export function ranksOfColor(choices: Float64Array, color: number): number[] {
  const keyOf = (rank: number): number => choices[2 * rank + 1]!;
  const ranks = Array.from({ length: choices.length / 2 }, (_, rank) => rank).filter((rank) => choices[2 * rank] === color);
  return ranks.sort((a, b) => keyOf(a) - keyOf(b) || a - b);
}
