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

/** WGSL of entry `j` of the bound arrays: a key that orders the entries of a row, and what each weighs. */
export interface EntryCode {
  readonly key: (j: string) => string;
  readonly mass: (j: string) => string;
}

/**
 * `lowestKept(row, lane, bits, need, share)`: the largest key such that the entries of the row with at least this key weigh at least
 * need, and at least the share of what all weigh. It is found two bits at a time, without a sort: a pass weighs the entries at or above
 * each of four keys, and the largest of them that leaves enough is kept. So bits / 2 passes find it exactly, whatever the length, and
 * equal entries stay or go together; 0 bits keep all. The kernel's params hold `length`.
 */
export function lowestKept(lanes: RowLanes, { key, mass }: EntryCode): string {
  return wgsl`
${treeOver("vec4f", lanes, "massOf", (a, b) => `${a} + ${b}`)}
fn lowestKept(row: u32, lane: u32, bits: u32, need: f32, share: f32) -> u32 {
  var found = 0u;
  var least = need;
  for (var left = bits; left > 0u; left -= 2u) {
    let keys = vec4u(found) + (vec4u(0u, 1u, 2u, 3u) << vec4u(left - 2u));
    var own = vec4f();
    for (var j = lane; j < params.length; j += ${lanes}u) { own += select(vec4f(), vec4f(${mass("row + j")}), vec4u(${key("row + j")}) >= keys); }
    // All four add in one order, so a higher key never weighs more.
    let mass = massOf(own, lane);
    least = select(least, max(least, mass.x * share), left == bits); // nothing is found yet: x is the whole mass
    let enough = vec4u(mass >= vec4f(least));
    found += (enough.y + enough.z + enough.w) << (left - 2u);
  }
  return found;
}`;
}
