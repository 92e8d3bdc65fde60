import { randomArray } from "../random.ts";

/**
 * Attention of one batch row in f32. All arrays are head-first and row-major: q `[heads, queries, headDim]`,
 * k and v `[kvHeads, keys, headDim]`. A causal mask has as many queries as keys.
 */
export interface AttentionShape {
  /** `forward`: o. `backward`: the gradients of q, k and v, forward pass included. `decode`: o of the one newest query. */
  readonly kind: "forward" | "backward" | "decode";
  readonly causal: boolean;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly queries: number;
  readonly keys: number;
}

export interface AttentionProblem extends AttentionShape {
  readonly q: Float32Array<ArrayBuffer>;
  readonly k: Float32Array<ArrayBuffer>;
  readonly v: Float32Array<ArrayBuffer>;
  /** d loss / d o, like q; empty unless `backward`. */
  readonly grad: Float32Array<ArrayBuffer>;
  /** Calls to launch one after the other before the last result is read: the read-back is not what is measured. */
  readonly calls: number;
}

/** Scores of this problem have a deviation of about 1.3: some keys count for much more than others, as in a trained model. */
export const SPREAD = 2;

export function attentionProblem(shape: AttentionShape): AttentionProblem {
  const { kind, heads, kvHeads, headDim, queries, keys } = shape;
  const [qSize, kvSize] = [heads * queries * headDim, kvHeads * keys * headDim];
  return {
    ...shape,
    q: randomArray(qSize, 1, SPREAD),
    k: randomArray(kvSize, 2, SPREAD),
    v: randomArray(kvSize, 3),
    grad: randomArray(kind === "backward" ? qSize : 0, 4),
    calls: callsFor(shape),
  };
}

/** Enough calls that a repetition is long beside a read-back, and few where one call is. */
function callsFor(shape: AttentionShape): number {
  const megaflops = attentionFlops(shape) / 1e6;
  if (shape.kind === "decode") return shape.keys <= 1024 ? 64 : 16;
  return megaflops < 1000 ? 4 : megaflops < 4000 ? 2 : 1;
}

/** Two products forward and five more backward, of two operations a multiply-add; a causal mask leaves half of them. */
export function attentionFlops({ kind, causal, heads, headDim, queries, keys }: AttentionShape): number {
  return (2 * (kind === "backward" ? 7 : 2) * heads * queries * keys * headDim) / (causal ? 2 : 1);
}

/** Bytes of k and v, which a decode step has to read. */
export const keyValueBytes = ({ kvHeads, keys, headDim }: AttentionShape): number => 2 * 4 * kvHeads * keys * headDim;

/** `[heads, rows, d]` as `[rows, heads, d]`. */
export const rowsFirst = (x: Float32Array, heads: number, d: number): Float32Array<ArrayBuffer> => swapped(x, heads, d);

/** `[rows, heads, d]` as `[heads, rows, d]`. */
export const headsFirst = (x: Float32Array, heads: number, d: number): Float32Array<ArrayBuffer> => swapped(x, x.length / heads / d, d);

function swapped(x: Float32Array, outer: number, d: number): Float32Array<ArrayBuffer> {
  const inner = x.length / outer / d;
  const out = new Float32Array(x.length);
  for (let a = 0; a < outer; a++) for (let b = 0; b < inner; b++) out.set(x.subarray((a * inner + b) * d, (a * inner + b + 1) * d), (b * outer + a) * d);
  return out;
}
