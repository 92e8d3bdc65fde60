import type { Case, Contender } from "../contender.ts";
import { greedyIds, greedyLogits } from "./decode-ids.ts";
import { decodeFlops, decodeProblem, gptSmall, weightBytes, type DecodeProblem } from "./decode-problem.ts";

/** Greedy steps of a decoder, one token each, from a text that its cache holds already. */
export interface DecodeRun {
  readonly decoder: DecodeProblem;
  /** Ids that the cache holds when a repetition starts. */
  readonly past: readonly number[];
  /** The id after them, which the first step is fed. */
  readonly first: number;
  /** Steps of a repetition. */
  readonly tokens: number;
}

/** Steps of a repetition. */
const TOKENS = 8;
/** Rows of the cache before the first step. */
const PASTS = [32, 144] as const;

/** Logits that stand for all of a row: sixteen of them, evenly spread. */
export function sampled(logits: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: 16 }, (_, i) => logits[Math.floor((i * logits.length) / 16)] ?? NaN);
}

/** What a contender returns: the ids it chose, then sixteen logits of the row that follows the past. */
export function outputOf(ids: readonly number[], logits: ArrayLike<number>): Float32Array {
  return Float32Array.from([...ids, ...sampled(logits)]);
}

/** 1 where an id is another than the reference's, else the largest error of a logit, relative to the largest of them. */
export function decodeError(output: Float32Array, ids: readonly number[], logits: readonly number[]): number {
  if (ids.some((id, i) => output[i] !== id)) return 1;
  const scale = logits.reduce((most, logit) => Math.max(most, Math.abs(logit)), 0);
  return logits.reduce((worst, logit, i) => Math.max(worst, Math.abs((output[ids.length + i] ?? NaN) - logit) / scale), 0);
}

/** The random decoder of GPT-2 small's shape at lengths of text that race together, since one model serves them all; none where no name matches. */
export function decodeCases(contenders: readonly Contender<DecodeRun>[], { cases, quick }: { readonly cases: RegExp; readonly quick: boolean }): Case<DecodeRun>[] {
  const named = PASTS.slice(0, quick ? 1 : undefined).map((rows) => ({ rows, name: `gpt2-small ${String(rows)}…${String(rows + TOKENS)}` })).filter(({ name }) => cases.test(name));
  if (named.length === 0) return [];
  const decoder = decodeProblem(gptSmall);
  const text = [...decoder.prompt, ...greedyIds];
  return named.map(({ rows, name }) => ({
    bench: "decode",
    name,
    problem: { decoder, past: text.slice(0, rows), first: text[rows] ?? NaN, tokens: TOKENS },
    contenders,
    flops: decodeFlops(gptSmall, rows + TOKENS / 2),
    bytes: weightBytes(gptSmall, 4),
    perRun: TOKENS,
    warmups: 1,
    error: (output) => decodeError(output, text.slice(rows + 1, rows + 1 + TOKENS), greedyLogits[rows] ?? []),
    tolerance: 1e-4,
  }));
}
