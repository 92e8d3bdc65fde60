import type { RouteOptions } from "../../src/index.ts";

export interface RouteLaw extends Omit<RouteOptions, "correction"> {
  readonly correction?: ArrayLike<number>;
}

const byValue = (values: readonly number[]): number[] => values.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);

/** Routing of one row of logits: the chosen experts, best first, and their weights. */
export function routeLaw(logits: readonly number[], { active, scoring = "softmax", groups = 1, activeGroups = groups, groupScore = "max", normalize = false, scale = 1, correction }: RouteLaw): { readonly experts: number[]; readonly weights: number[] } {
  const powers = logits.map((z) => Math.exp(z));
  const scores = logits.map((z, e) => (scoring === "sigmoid" ? 1 / (1 + Math.exp(-z)) : powers[e]! / powers.reduce((sum, p) => sum + p, 0)));
  const choice = scores.map((s, e) => s + (correction?.[e] ?? 0));
  const size = logits.length / groups;
  const worth = Array.from({ length: groups }, (_, g) => {
    const [first = 0, second = 0] = choice.slice(g * size, (g + 1) * size).sort((a, b) => b - a);
    return groupScore === "max" ? first : first + second;
  });
  const open = byValue(worth).slice(0, activeGroups);
  const experts = byValue(choice).filter((e) => open.includes(Math.floor(e / size))).slice(0, active);
  const sum = normalize ? experts.reduce((total, e) => total + scores[e]!, 0) : 1;
  return { experts, weights: experts.map((e) => (scale * scores[e]!) / sum) };
}

/** y[p] = W[ids[p]] · x[p / fan], for w [E, outputs, inputs]. */
export function expertLaw(x: ArrayLike<number>, w: ArrayLike<number>, ids: readonly number[], fan: number, outputs: number, inputs: number): Float64Array {
  const y = new Float64Array(ids.length * outputs);
  ids.forEach((expert, pair) => {
    const row = Math.floor(pair / fan) * inputs;
    for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) y[pair * outputs + o]! += w[(expert * outputs + o) * inputs + i]! * x[row + i]!;
  });
  return y;
}
