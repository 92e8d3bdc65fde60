import type { ReducibleData } from "@polyhead/core";

const POSITIVE_NAN = 0x7fc00000;

/**
 * Rewrites numbers, in place, as whole numbers of the same width that compare as they do, with −0 below +0 and NaN above
 * everything. MPI's maximum of floats keeps either operand where they do not compare, so that ranks could end with different
 * bits; its maximum of whole numbers cannot, and this one is JavaScript's `Math.max`.
 *
 * A float's bits, read as a whole number, already compare as the float does if it is positive; a negative one's do when all
 * bits but the sign are turned over.
 */
export function toOrdered(data: ReducibleData): void {
  const words = new Int32Array(data.buffer, data.byteOffset, data.byteLength / 4);
  if (data instanceof Float32Array) {
    for (let i = 0; i < data.length; i++) {
      if (Number.isNaN(data[i])) words[i] = POSITIVE_NAN;
      else if (words[i]! < 0) words[i]! ^= 0x7fffffff;
    }
    return;
  }
  for (let i = 0; i < data.length; i++) {
    // Little-endian, as every system that WebGPU runs on: the upper half comes second.
    if (Number.isNaN(data[i])) words.set([0, 0x7ff80000], 2 * i);
    else turnNegative(words, 2 * i);
  }
}

/** Undoes `toOrdered`. */
export function fromOrdered(data: ReducibleData): void {
  const words = new Int32Array(data.buffer, data.byteOffset, data.byteLength / 4);
  if (data instanceof Float32Array) {
    for (let i = 0; i < words.length; i++) if (words[i]! < 0) words[i]! ^= 0x7fffffff;
    return;
  }
  for (let at = 0; at < words.length; at += 2) turnNegative(words, at);
}

function turnNegative(words: Int32Array, at: number): void {
  if (words[at + 1]! >= 0) return;
  words[at]! ^= -1;
  words[at + 1]! ^= 0x7fffffff;
}
