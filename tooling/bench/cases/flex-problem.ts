import { randomArray, uniform } from "../random.ts";
import { SPREAD } from "./attention-problem.ts";

/** What is done to scores, in words that no library shares: contenders translate it, and the reference follows it. */
export type Modifier =
  | { readonly kind: "causal" }
  /** Causal, and far keys count less by a slope of each head. */
  | { readonly kind: "alibi" }
  /** Causal, scores bent into −cap to cap. */
  | { readonly kind: "softcap"; readonly cap: number }
  /** A query sees itself and the `size` − 1 keys before it. */
  | { readonly kind: "window"; readonly size: number }
  /** Causal within documents of these lengths, packed into one row. */
  | { readonly kind: "documents"; readonly lengths: readonly number[] }
  /** Causal, with a learned number for every head and distance up to `reach`. */
  | { readonly kind: "relative"; readonly reach: number };

/** One batch row in f32, as many queries as keys. Arrays are head-first: `[heads, size, headDim]`. */
export interface FlexShape {
  /** `forward`: o. `backward`: gradients of q, k, v and of what is learned, forward pass included. `build`: the state of each block. */
  readonly kind: "forward" | "backward" | "build";
  readonly modifier: Modifier;
  readonly heads: number;
  readonly headDim: number;
  readonly size: number;
}

export interface FlexProblem extends FlexShape {
  readonly q: Float32Array<ArrayBuffer>;
  readonly k: Float32Array<ArrayBuffer>;
  readonly v: Float32Array<ArrayBuffer>;
  /** d loss / d o; empty unless `backward`. */
  readonly grad: Float32Array<ArrayBuffer>;
  /** `[heads, 2 · reach + 1]` by distance kv − q; empty unless `relative`. */
  readonly table: Float32Array<ArrayBuffer>;
  /** Calls to launch before the last result is read. */
  readonly calls: number;
}

/** Blocks that the states of `build` are of: rows and columns. */
export const BLOCK = 128;

export function flexProblem(shape: FlexShape): FlexProblem {
  const { kind, modifier, heads, headDim, size } = shape;
  const numbers = kind === "build" ? 0 : heads * size * headDim;
  return {
    ...shape,
    q: randomArray(numbers, 1, SPREAD),
    k: randomArray(numbers, 2, SPREAD),
    v: randomArray(numbers, 3),
    grad: randomArray(kind === "backward" ? numbers : 0, 4),
    table: randomArray(modifier.kind === "relative" ? heads * (2 * modifier.reach + 1) : 0, 5),
    calls: kind === "build" || flexFlops(shape) > 2e9 ? 1 : 2,
  };
}

/** Document of each position: `[size]`. */
export const documentIds = (lengths: readonly number[]): Int32Array => Int32Array.from(lengths.flatMap((length, id) => Array.from({ length }, () => id)));

/** Lengths that add up to `total`: about `count` documents, some many times as long as others. */
export function documentLengths(total: number, count: number): readonly number[] {
  const next = uniform(count);
  const cuts = new Set<number>();
  while (cuts.size < count - 1) cuts.add(1 + Math.floor(next() * (total - 1)));
  const ends = [...cuts, total].sort((a, b) => a - b);
  return ends.map((end, i) => end - (ends[i - 1] ?? 0));
}

/** Keys that query i sees: from the first to i itself. */
export function firstKey(modifier: Modifier): (i: number) => number {
  switch (modifier.kind) {
    case "window":
      return (i) => Math.max(0, i - modifier.size + 1);
    case "documents": {
      const starts = modifier.lengths.flatMap((length, n) => new Array<number>(length).fill(modifier.lengths.slice(0, n).reduce((sum, one) => sum + one, 0)));
      return (i) => starts[i]!;
    }
    default:
      return () => 0;
  }
}

/** Two products forward and five more backward, of two operations a multiply-add, over the cells that are seen. */
export function flexFlops({ kind, modifier, heads, headDim, size }: FlexShape): number {
  if (kind === "build") return 0;
  const first = firstKey(modifier);
  let cells = 0;
  for (let i = 0; i < size; i++) cells += i + 1 - first(i);
  return 2 * (kind === "backward" ? 7 : 2) * heads * headDim * cells;
}
