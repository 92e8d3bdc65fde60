import { randomArray, uniform } from "../random.ts";

/** GPT-2's decoder: learned positions, pre-norm blocks with biases everywhere, tanh-GELU, and an untied head without bias. */
export interface GptShape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly context: number;
  readonly batch: number;
  readonly vocab: number;
}

/** A weight in row-major order. Matrices are [in, out], so that y = x·W + b. */
interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** Adam without decay or clipping, its usual bias corrections, epsilon added to the root. */
export const adam = { rate: 1e-3, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 } as const;
export const normEpsilon = 1e-5;

export interface GptProblem {
  readonly shape: GptShape;
  /** `wte` [V, d], `wpe` [T, d], `head` [d, V], `norm.*` [d], and for every layer `0.norm1.*`, `0.qkv.*` [d, 3d], `0.proj.*` [d, d], `0.norm2.*`, `0.up.*` [d, 4d], `0.down.*` [4d, d]. */
  readonly weights: Readonly<Record<string, Weight>>;
  /** The text of one step: `ids` and the next ids `targets`, both [B, T]. */
  batch(step: number): { readonly ids: Int32Array<ArrayBuffer>; readonly targets: Int32Array<ArrayBuffer> };
}

/** The model of the bench. */
export const benchShape: GptShape = { layers: 4, width: 128, heads: 4, context: 128, batch: 8, vocab: 256 };

export function gptProblem(shape: GptShape): GptProblem {
  return { shape, weights: initialWeights(shape), batch: (step) => walk(shape, step) };
}

function initialWeights({ layers, width, context, vocab }: GptShape): Record<string, Weight> {
  const weights: Record<string, Weight> = {};
  let seed = 10;
  const matrix = (name: string, rows: number, columns: number): void => {
    weights[name] = { shape: [rows, columns], data: randomArray(rows * columns, seed++, 0.05) };
  };
  // Biases and gains start away from 0 and 1, so that a contender that forgets one is found out at the first loss.
  const vector = (name: string, size: number, center: number): void => {
    weights[name] = { shape: [size], data: randomArray(size, seed++, 0.05).map((value) => center + value) };
  };
  const norm = (name: string): void => {
    vector(`${name}.weight`, width, 1);
    vector(`${name}.bias`, width, 0);
  };
  const linear = (name: string, rows: number, columns: number): void => {
    matrix(`${name}.weight`, rows, columns);
    vector(`${name}.bias`, columns, 0);
  };
  matrix("wte", vocab, width);
  matrix("wpe", context, width);
  for (let layer = 0; layer < layers; layer++) {
    norm(`${String(layer)}.norm1`);
    linear(`${String(layer)}.qkv`, width, 3 * width);
    linear(`${String(layer)}.proj`, width, width);
    norm(`${String(layer)}.norm2`);
    linear(`${String(layer)}.up`, width, 4 * width);
    linear(`${String(layer)}.down`, 4 * width, width);
  }
  norm("norm");
  matrix("head", width, vocab);
  return weights;
}

/** Every row starts anywhere and goes on as x → 5x + 3 mod V: a language that a small model learns at once. */
function walk({ batch, context, vocab }: GptShape, step: number): { ids: Int32Array<ArrayBuffer>; targets: Int32Array<ArrayBuffer> } {
  const next = uniform(1000 + step);
  const ids = new Int32Array(batch * context);
  const targets = new Int32Array(batch * context);
  for (let row = 0; row < batch; row++) {
    let id = Math.floor(next() * vocab);
    for (let t = 0; t < context; t++) {
      ids[row * context + t] = id;
      id = (5 * id + 3) % vocab;
      targets[row * context + t] = id;
    }
  }
  return { ids, targets };
}

/** Multiply-adds of the matrices, forward and backward (two operations each), and of attention without its mask. */
export function gptFlops({ layers, width, context, batch, vocab }: GptShape): number {
  const matrices = layers * 12 * width * width + width * vocab;
  return 6 * matrices * batch * context + 12 * layers * width * context * context * batch;
}
