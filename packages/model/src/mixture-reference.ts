import type { Params64 } from "@polyhead/core";
import { resolveExperts, type ExpertsConfig, type ResolvedExperts } from "./mixture-config.ts";

const dot = (a: ArrayLike<number>, aAt: number, b: ArrayLike<number>, bAt: number, size: number): number => {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += a[aAt + i]! * b[bAt + i]!;
  return sum;
};

const silu = (x: number): number => x / (1 + Math.exp(-x));

/** Places of the `count` largest, largest first, the lower one among equals. */
const largest = (values: readonly number[], count: number): number[] =>
  values.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b).slice(0, count);

/** sₑ: the affinity of a token to every expert (V2 eq. 22, V3 eq. 15). */
function affinities(logits: readonly number[], scoring: ResolvedExperts["scoring"]): number[] {
  if (scoring === "sigmoid") return logits.map((z) => 1 / (1 + Math.exp(-z)));
  const top = Math.max(...logits);
  const powers = logits.map((z) => Math.exp(z - top));
  const total = powers.reduce((sum, p) => sum + p, 0);
  return powers.map((p) => p / total);
}

/** The chosen experts of one token, best first, and gₑ of each. */
function routeReference(logits: readonly number[], config: ExpertsConfig, bias?: ArrayLike<number>): { readonly experts: readonly number[]; readonly weights: readonly number[] } {
  const { routed, active, scoring, groups, activeGroups, groupScore, normalize, scale } = resolveExperts(config);
  const s = affinities(logits, scoring);
  const choice = s.map((score, e) => score + (bias?.[e] ?? 0));
  const size = routed / groups;
  // V2 §2.2.2, V3 §2.1.2: a token may go to the best groups (devices, nodes) alone.
  const worth = Array.from({ length: groups }, (_, g) => {
    const best = choice.slice(g * size, (g + 1) * size).sort((a, b) => b - a);
    return groupScore === "max" ? best[0]! : best[0]! + best[1]!;
  });
  const open = new Set(largest(worth, activeGroups));
  const experts = largest(choice.map((c, e) => (open.has(Math.floor(e / size)) ? c : -Infinity)), active);
  const total = normalize ? experts.reduce((sum, e) => sum + s[e]!, 0) : 1;
  return { experts, weights: experts.map((e) => (scale * s[e]!) / total) };
}

/** W_down · (SiLU(W_gate x) ⊙ W_up x) of one token, with matrices at an offset: gate over up [2·hidden, width], down [width, hidden]. */
function ffn(x: Float64Array, xAt: number, width: number, hidden: number, up: Float64Array, upAt: number, down: Float64Array, downAt: number): Float64Array {
  const h = Float64Array.from({ length: hidden }, (_, i) => silu(dot(up, upAt + i * width, x, xAt, width)) * dot(up, upAt + (hidden + i) * width, x, xAt, width));
  return Float64Array.from({ length: width }, (_, i) => dot(down, downAt + i * hidden, h, 0, hidden));
}

/** `mixture` in float64: x holds rows of `width` numbers. */
export function mixtureReference(x: Float64Array, width: number, config: ExpertsConfig, params: Params64): Float64Array {
  const { routed, width: hidden, shared } = resolveExperts(config);
  const y = new Float64Array(x.length);
  for (let at = 0; at < x.length; at += width) {
    const add = (g: number, part: Float64Array): void => { part.forEach((value, i) => { y[at + i]! += g * value; }); };
    const logits = Array.from({ length: routed }, (_, e) => dot(params["router.weight"]!, e * width, x, at, width));
    const { experts, weights } = routeReference(logits, config, params["router.correction"]);
    experts.forEach((e, c) => { add(weights[c]!, ffn(x, at, width, hidden, params["experts.up"]!, e * 2 * hidden * width, params["experts.down"]!, e * width * hidden)); });
    if (shared > 0) add(1, ffn(x, at, width, shared * hidden, params["shared.up.weight"]!, 0, params["shared.down.weight"]!, 0));
  }
  return y;
}
