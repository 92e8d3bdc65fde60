/** A decoder like GPT-2: learned positions, norms before each sublayer, biases everywhere, tanh-GELU, one table for ids and logits. */
export interface DecoderShape {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly context: number;
  readonly vocab: number;
}

/** Matrices are [in, out], row-major, so that y = x·W + b. */
interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

export const gptSmall: DecoderShape = { layers: 12, width: 768, heads: 12, context: 1024, vocab: 50_257 };
export const normEpsilon = 1e-5;
/** Ids of the prompt. */
export const PROMPT = 32;

export interface DecodeProblem {
  readonly shape: DecoderShape;
  /** `wte` [V, d], `wpe` [T, d], `norm.*` [d], and for every layer `0.norm1.*`, `0.qkv.*` [d, 3d], `0.proj.*` [d, d], `0.norm2.*`, `0.up.*` [d, 4d], `0.down.*` [4d, d]. */
  readonly weights: Readonly<Record<string, Weight>>;
  readonly prompt: readonly number[];
}

/**
 * Seeded weights. None has more significant bits than an f16, so each is the same number in f16 and in f32: both models of the bench have the same greedy text.
 */
export function decodeProblem(shape: DecoderShape): DecodeProblem {
  const { layers, width, context, vocab } = shape;
  const weights: Record<string, Weight> = {};
  let seed = 1;
  const add = (name: string, size: readonly number[], spread: Spread): void => {
    weights[name] = { shape: size, data: draw(size.reduce((product, n) => product * n, 1), seed++, spread) };
  };
  const norm = (name: string): void => {
    add(`${name}.weight`, [width], gain);
    add(`${name}.bias`, [width], plain);
  };
  const linear = (name: string, inputs: number, outputs: number): void => {
    add(`${name}.weight`, [inputs, outputs], plain);
    add(`${name}.bias`, [outputs], plain);
  };
  add("wte", [vocab, width], plain);
  add("wpe", [context, width], plain);
  for (let layer = 0; layer < layers; layer++) {
    norm(`${String(layer)}.norm1`);
    linear(`${String(layer)}.qkv`, width, 3 * width);
    linear(`${String(layer)}.proj`, width, width);
    norm(`${String(layer)}.norm2`);
    linear(`${String(layer)}.up`, width, 4 * width);
    linear(`${String(layer)}.down`, 4 * width, width);
  }
  norm("norm");
  return { shape, weights, prompt: Array.from({ length: PROMPT }, (_, i) => (7919 * i + 11) % vocab) };
}

/** Numbers around `center`, `reach` whole steps to either side. */
interface Spread {
  readonly center: number;
  readonly step: number;
  readonly reach: number;
}

const plain: Spread = { center: 0, step: 2 ** -14, reach: 1024 };
/** f16 has steps of 2⁻¹⁰ above 1, and finer ones below. */
const gain: Spread = { center: 1, step: 2 ** -10, reach: 64 };

function draw(size: number, seed: number, { center, step, reach }: Spread): Float32Array<ArrayBuffer> {
  const data = new Float32Array(size);
  let state = Math.imul(seed, 0x9e3779b9) >>> 0;
  for (let i = 0; i < size; i++) {
    // As `uniform` draws them, without a call for each of a hundred million.
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    data[i] = center + step * (Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * 2 * reach) - reach);
  }
  return data;
}

/** Bytes of the weights that every step reads: all but the tables of ids and positions, of which it reads a row; logits read the table of ids whole. */
export function weightBytes({ layers, width, vocab }: DecoderShape, each: 2 | 4): number {
  return each * (layers * 12 * width * width + vocab * width);
}

/** Floating-point operations of a step: its products, two operations a multiply-add, and attention over `keys`. */
export function decodeFlops({ layers, width, vocab }: DecoderShape, keys: number): number {
  return 2 * (layers * 12 * width * width + vocab * width) + 4 * layers * width * keys;
}
