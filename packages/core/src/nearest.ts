/**
 * Edits that turn `a` into `b`: insertion, deletion, substitution and the swap of two neighbours count one each
 * (optimal string alignment), letter case does not count.
 */
export function editDistance(a: string, b: string): number {
  const s = a.toLowerCase();
  const t = b.toLowerCase();
  let before: number[] = [];
  let last = Array.from({ length: t.length + 1 }, (_, j) => j);
  for (let i = 1; i <= s.length; i++) {
    const row = [i];
    for (let j = 1; j <= t.length; j++) {
      const same = s[i - 1] === t[j - 1] ? 0 : 1;
      let best = Math.min((row[j - 1] ?? 0) + 1, (last[j] ?? 0) + 1, (last[j - 1] ?? 0) + same);
      const swapped = i > 1 && j > 1 && s[i - 1] === t[j - 2] && s[i - 2] === t[j - 1];
      if (swapped) best = Math.min(best, (before[j - 2] ?? 0) + 1);
      row.push(best);
    }
    before = last;
    last = row;
  }
  return last[t.length] ?? 0;
}

/**
 * The known word that was most likely meant: one that `word` begins, else the closest by edits, else undefined.
 * Between equally close ones the first letter decides, since it is seldom the wrong one.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const lower = word.toLowerCase();
  const begun = lower.length >= 2 ? known.find((candidate) => candidate.toLowerCase().startsWith(lower)) : undefined;
  if (begun !== undefined) return begun;
  const cost = (candidate: string): number => editDistance(word, candidate) + (candidate[0]?.toLowerCase() === lower[0] ? 0 : 0.5);
  const [best] = [...known].sort((a, b) => cost(a) - cost(b));
  if (best === undefined) return undefined;
  const tolerance = Math.max(1, Math.floor(Math.max(word.length, best.length) / 3));
  return editDistance(word, best) <= tolerance ? best : undefined;
}

/** Advice for an unknown word: the nearest known one if there is one, and all of them. */
export function suggest(word: string, known: readonly string[]): string {
  if (known.length === 0) return "leave it out; nothing is known here";
  const close = nearest(word, known);
  const all = [...known].sort().join(", ");
  return close === undefined ? `use one of: ${all}` : `did you mean '${close}'? (known: ${all})`;
}
