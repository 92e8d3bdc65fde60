// What kernels that choose among the logits of a row share.
import { wgsl } from "@polyhead/gpu";

export type RowLanes = 64 | 256;

/** Lanes of the workgroup that owns a row. */
export const rowLanes = (length: number): RowLanes => (length <= 4096 ? 64 : 256);

/** No place. As an id it is past every vocabulary, so that `checkIds` and `embedding` notice it. */
export const NONE = "0xffffffffu";

/**
 * Bits of f32 in the order of the numbers they stand for. WGSL has no literal for infinities, and compilers may take x != x for
 * false, so that bits are compared throughout.
 */
export const ordered: string = wgsl`
const MINUS_INFINITY = 0xff800000u;
const LOWEST_KEY = 0x007fffffu; // of −∞
fn keyOf(bits: u32) -> u32 {
  let key = select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
  return select(key, 0x80000000u, (bits << 1u) == 0u); // −0 is 0
}
fn numberOf(key: u32) -> f32 { return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u)); }
// 1 for NaN and +∞: there is no softmax of them.
fn isBad(bits: u32) -> u32 { return u32(((bits & 0x7fffffffu) > 0x7f800000u) | (bits == 0x7f800000u)); }`;

/** A tree over the lanes of a workgroup, of fixed shape. Every invocation must call it. */
export function treeOver(type: string, lanes: RowLanes, name: string, combine: (a: string, b: string) => string): string {
  return wgsl`
var<workgroup> ${name}Lanes: array<${type}, ${lanes}>;
fn ${name}(own: ${type}, lane: u32) -> ${type} {
  ${name}Lanes[lane] = own;
  workgroupBarrier();
  for (var span = ${lanes / 2}u; span > 0u; span >>= 1u) {
    if (lane < span) { ${name}Lanes[lane] = ${combine(`${name}Lanes[lane]`, `${name}Lanes[lane + span]`)}; }
    workgroupBarrier();
  }
  let result = ${name}Lanes[0];
  workgroupBarrier(); // the next tree writes the same memory
  return result;
}`;
}
