import { formula, type Program } from "@polyhead/expr";

export type Philox4 = readonly [number, number, number, number];

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;

/** Upper 32 bits of the 64-bit product. */
function mulHigh(a: number, b: number): number {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const middle = al * bh + Math.floor((al * bl) / 0x10000);
  const cross = ah * bl + (middle % 0x10000);
  return ah * bh + Math.floor(middle / 0x10000) + Math.floor(cross / 0x10000);
}

/**
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four random u32 that are a function
 * of a counter and a key alone, so that any number of any stream can be had, or had again, without the ones before.
 */
export function philox(counter: Philox4, key: readonly [number, number]): Philox4 {
  let [c0, c1, c2, c3] = counter.map((c) => c >>> 0) as [number, number, number, number];
  let [k0, k1] = [key[0] >>> 0, key[1] >>> 0];
  for (let round = 0; round < 10; round++) {
    [c0, c1, c2, c3] = [(mulHigh(M1, c2) ^ c1 ^ k0) >>> 0, Math.imul(M1, c2) >>> 0, (mulHigh(M0, c0) ^ c3 ^ k1) >>> 0, Math.imul(M0, c0) >>> 0];
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** Draw `index` of a stream: the counter's words. */
export const counterOf = (index: number, stream: number): Philox4 => [index >>> 0, Math.floor(index / 2 ** 32) >>> 0, stream >>> 0, 0];

/** The second word of the key tells uses apart, so that dropout and initial weights of one seed share nothing. */
export const USE = { values: 0x76616c75, uniform: 0x756e6966, noise: 0x6e6f6973, dropout: 0x64726f70, draw: 0x64726177 } as const;

/** A u32 as a number in [0, 1): its upper 24 bits, which f32 holds exactly. */
export const toUnit = (word: number): number => (word >>> 8) / 2 ** 24;

/**
 * Box and Muller's transform (1958): two numbers from N(0, 1) of two uniform ones. −ln(1 − u) by its series near 0, where
 * WGSL allows a logarithm to be off by 2⁻²¹, more than the value itself. As u ≤ 1 − 2⁻²⁴, no number is beyond 5.77.
 */
export const boxMuller: Program = formula({ u: "f32", v: "f32" })`
  half = u < ${1 / 64} ? u * (1 + u * (1 / 2 + u * (1 / 3 + u / 4))) : -log(1 - u);
  radius = sqrt(2 * half);
  angle = ${2 * Math.PI} * v;
  radius * cos(angle), radius * sin(angle)`;

export interface NormalOptions {
  /** Default 0. */
  readonly mean?: number;
  readonly std: number;
  readonly seed: number;
  readonly stream: number;
}

/**
 * Numbers from N(mean, std²), drawn on the host in float64 by Box and Muller's transform: the same whatever the adapter.
 * Each Philox block gives four.
 */
export function normal(size: number, options: NormalOptions): Float32Array {
  return drawNormal(size, options, USE.values);
}

/** `normal` for a use of one's own. */
export function drawNormal(size: number, { mean = 0, std, seed, stream }: NormalOptions, use: number): Float32Array {
  const values = new Float32Array(size);
  for (let block = 0; block * 4 < size; block++) {
    const words = philox(counterOf(block, stream), [seed, use]);
    for (let pair = 0; pair < 2; pair++) {
      // 1 − u is in (0, 1], so its logarithm is finite.
      const radius = std * Math.sqrt(-2 * Math.log(1 - toUnit(words[pair * 2]!)));
      const angle = 2 * Math.PI * toUnit(words[pair * 2 + 1]!);
      const at = block * 4 + pair * 2;
      values[at] = mean + radius * Math.cos(angle);
      if (at + 1 < size) values[at + 1] = mean + radius * Math.sin(angle);
    }
  }
  return values;
}
