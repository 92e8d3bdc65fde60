export interface Cuts {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly minP?: number;
}

/** Probabilities of a draw in float64, by sorting: temperature, the `topK` largest, of those the smallest set that reaches `topP`, then `minP`. Equal logits stay or go together. */
export function probabilities(logits: readonly number[], { temperature = 1, topK = logits.length, topP = 1, minP = 0 }: Cuts): number[] {
  const softmax = (x: readonly number[]): number[] => {
    const peak = Math.max(...x);
    const w = x.map((v) => Math.exp(v - peak));
    const total = w.reduce((a, b) => a + b, 0);
    return w.map((v) => v / total);
  };
  const keepFrom = (x: readonly number[], lowest: number): number[] => x.map((v) => (v >= lowest ? v : -Infinity));
  const sorted = (x: readonly number[]): number[] => [...x].sort((a, b) => b - a);
  let x = logits.map((v) => v / temperature);
  x = keepFrom(x, sorted(x)[Math.min(topK, x.length) - 1]!);
  if (topP < 1) {
    let mass = 0;
    const lowest = sorted(x).find((v, i, all) => (mass += softmax(all)[i]!) >= topP)!;
    x = keepFrom(x, lowest);
  }
  const p = softmax(x);
  const largest = Math.max(...p);
  return softmax(x.map((v, i) => (p[i]! >= minP * largest ? v : -Infinity)));
}
