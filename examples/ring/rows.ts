import { positionsOf, type RingLayout } from "@polyhead/attn-ring";

/** Which numbers: the queries, the keys, the values, or the gradient that comes from behind. */
export type Kind = "q" | "k" | "v" | "g";
const SALT: Record<Kind, number> = { q: 1, k: 2, v: 3, g: 4 };

/** A number in −1 to 1 that depends on where it stands and on nothing else, so that any rank can make any token's. */
function numberAt(at: number, salt: number): number {
  let x = Math.imul(at + 1, 0x9e3779b1) ^ Math.imul(salt, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 31 - 1;
}

/** Rows `[heads, positions, headDim]` of the tokens at these positions. */
export function rowsAt(kind: Kind, positions: Uint32Array, { heads, headDim, seq }: { readonly heads: number; readonly headDim: number; readonly seq: number }): Float32Array {
  const rows = new Float32Array(heads * positions.length * headDim);
  let to = 0;
  for (let head = 0; head < heads; head++) {
    for (const position of positions) {
      const from = (head * seq + position) * headDim;
      for (let d = 0; d < headDim; d++) rows[to++] = numberAt(from + d, SALT[kind]);
    }
  }
  return rows;
}

/** Puts the rows of every rank, `[heads, rows of the rank, headDim]`, where they stand in the whole, `[heads, seq, headDim]`. */
export function wholeOf(parts: readonly Float32Array[], layout: RingLayout, { heads, headDim, seq }: { readonly heads: number; readonly headDim: number; readonly seq: number }): Float32Array {
  const whole = new Float32Array(heads * seq * headDim);
  for (const [rank, part] of parts.entries()) {
    const positions = positionsOf(layout, rank, parts.length, seq);
    for (let head = 0; head < heads; head++) {
      for (const [i, position] of positions.entries()) {
        const from = (head * positions.length + i) * headDim;
        whole.set(part.subarray(from, from + headDim), (head * seq + position) * headDim);
      }
    }
  }
  return whole;
}
