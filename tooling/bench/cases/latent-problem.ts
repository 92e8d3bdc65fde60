import { randomArray } from "../random.ts";

/** One layer of latent attention, one token long, beside rows that its cache holds already. No positions: they cost both forms alike. */
export interface LatentShape {
  readonly width: number;
  readonly heads: number;
  readonly kvRank: number;
  readonly nopeDim: number;
  readonly ropeDim: number;
  readonly valueDim: number;
}

/** DeepSeek-V2's head sizes, with fewer heads of a narrower stream, and without its compressed queries. */
export const latentShape: LatentShape = { width: 512, heads: 4, kvRank: 512, nopeDim: 128, ropeDim: 64, valueDim: 128 };

export interface LatentProblem {
  readonly shape: LatentShape;
  /** Matrices [out, in], row-major, by the layer's own names. */
  readonly weights: Readonly<Record<string, Float32Array<ArrayBuffer>>>;
  /** Held already: rows of the latent, then of the shared key, [rows, kvRank + ropeDim]. */
  readonly held: Float32Array<ArrayBuffer>;
  readonly rows: number;
  /** What every step is fed, [width]. */
  readonly x: Float32Array<ArrayBuffer>;
  /** Steps of a repetition; each adds a row. */
  readonly steps: number;
  /** What contenders last returned, by name: they are compared with each other too. */
  readonly seen: Map<string, Float32Array>;
}

export function latentProblem(shape: LatentShape, rows: number, steps: number): LatentProblem {
  const { width, heads, kvRank, nopeDim, ropeDim, valueDim } = shape;
  // As wide as keeps every product's deviation near 1, so that scores tell rows apart.
  const matrix = (outputs: number, inputs: number, seed: number): Float32Array<ArrayBuffer> => randomArray(outputs * inputs, seed, Math.sqrt(3 / inputs));
  return {
    shape, rows, steps,
    weights: {
      "query.weight": matrix(heads * (nopeDim + ropeDim), width, 1),
      "down.weight": matrix(kvRank + ropeDim, width, 2),
      "latentNorm.weight": randomArray(kvRank, 3, 0.1).map((value) => 1 + value),
      "up.weight": matrix(heads * (nopeDim + valueDim), kvRank, 4),
      "out.weight": matrix(width, heads * valueDim, 5),
    },
    held: randomArray(rows * (kvRank + ropeDim), 6, Math.sqrt(3)),
    x: randomArray(width, 7, Math.sqrt(3)),
    seen: new Map(),
  };
}
