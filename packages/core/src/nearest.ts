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

/** The known word closest to `word`, or undefined if none is close enough to be what was meant. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let distance = Infinity;
  for (const candidate of known) {
    const d = editDistance(word, candidate);
    if (d < distance) [best, distance] = [candidate, d];
  }
  if (best === undefined) return undefined;
  const bestLower = best.toLowerCase();
  const starts = word.length >= 2 && bestLower.startsWith(word.toLowerCase());
  return starts || distance <= Math.max(1, Math.floor(Math.max(word.length, best.length) / 3)) ? best : undefined;
}

/** Advice for an unknown word: the nearest known one if there is one, and all of them. */
export function suggest(word: string, known: readonly string[]): string {
  if (known.length === 0) return "leave it out; nothing is known here";
  const close = nearest(word, known);
  const all = [...known].sort().join(", ");
  return close === undefined ? `use one of: ${all}` : `did you mean '${close}'? (known: ${all})`;
}
