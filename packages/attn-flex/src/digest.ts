import { toProgram, type Mask } from "@polyhead/core";

/** Names what a mask says: the structure of its program and the numbers in its captures. Equal masks have equal digests. */
export function digestOf(mask: Mask): string {
  const { key, captures } = toProgram(mask);
  let state: Hash = [0x811c9dc5, 0x01234567];
  for (let i = 0; i < key.length; i++) state = mix(state, key.charCodeAt(i));
  for (const { data } of captures) {
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.byteLength / 4);
    for (const word of bits) state = mix(state, word);
  }
  return state.map((half) => half.toString(16).padStart(8, "0")).join("");
}

type Hash = readonly [number, number];

/** FNV-1a by words, and beside it a sum with another multiplier: 64 bits of digest without big integers. */
function mix([a, b]: Hash, word: number): Hash {
  return [Math.imul(a ^ word, 0x01000193) >>> 0, (Math.imul(b, 0x9e3779b1) + (word ^ (b >>> 15)) + 1) >>> 0];
}
