// What a draw is among: weights [rows, length] of logits x [rows, length], after temperature, top-k, top-p and min-p, without a sort.
//   x        the bits of f32; a workgroup owns a row, a lane every LANES-th entry of it, and nobody else reads or writes those
//   weights  exp((x − largest) · coolness) of what is kept, else 0; a row with NaN, with +∞ or of −∞ alone is all 0
//   key      the bits of a logit, turned so that keys are ordered as the numbers are: what stays is what has at least the lowest kept key
// That key is found two bits at a time: a pass weighs the entries at or above each of four keys, and the largest of them that
// leaves enough is kept. So 16 passes find it exactly, whatever the length, and equal logits stay or go together.
import { defineKernel, kernelFamily, wgsl } from "@polyhead/gpu";
import { ordered, rowLanes, treeOver, type RowLanes } from "./sampling-rows.ts";
import type { Tensor } from "../tensor.ts";

const weigh = kernelFamily((lanes: RowLanes) =>
  defineKernel({
    name: `sampling-weights ${lanes}`,
    bindings: { x: "read array<u32>", weights: "write array<f32>" },
    // The numbers of bits are 32, or 0 where nothing is cut. Trip counts are scalars, so that drivers unroll nothing.
    params: { length: "u32", coolness: "f32", phases: "u32", countBits: "u32", count: "f32", shareBits: "u32", share: "f32", least: "f32" },
    code: wgsl`
${ordered}
${treeOver("vec4f", lanes, "sumOf", (a, b) => `${a} + ${b}`)}
${treeOver("vec2u", lanes, "largestOf", (a, b) => `max(${a}, ${b})`)}
// Sums of the row over the entries whose key is at least each of four, and at least the floor: of 1 where counting, else of the weights.
fn massFrom(row: u32, lane: u32, keys: vec4u, floor: u32, counting: bool) -> vec4f {
  var own = vec4f();
  for (var j = lane; j < params.length; j += ${lanes}u) {
    let w = select(weights[row + j], 1.0, counting);
    own += select(vec4f(), vec4f(w), vec4u(keyOf(x[row + j])) >= max(keys, vec4u(floor)));
  }
  return sumOf(own, lane);
}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.length;
  var seen = vec2u();
  for (var j = lane; j < params.length; j += ${lanes}u) { seen = max(seen, vec2u(keyOf(x[row + j]), isBad(x[row + j]))); }
  let largest = largestOf(seen, lane);
  let usable = (largest.x > LOWEST_KEY) & (largest.y == 0u);
  let peak = numberOf(largest.x);
  for (var j = lane; j < params.length; j += ${lanes}u) {
    let bits = x[row + j];
    weights[row + j] = select(0.0, exp((bitcast<f32>(bits) - peak) * params.coolness), usable & (bits != MINUS_INFINITY));
  }
  // First by counting, then by weights among what that leaves: the largest key from which on there is enough. All four sums add in
  // one order, so a higher key never has more.
  var lowest = 0u;
  for (var phase = 0u; phase < params.phases; phase++) {
    let counting = phase == 0u;
    let bits = select(params.shareBits, params.countBits, counting);
    var need = params.count;
    var found = 0u;
    for (var left = bits; left > 0u; left -= 2u) {
      let mass = massFrom(row, lane, vec4u(found) + (vec4u(0u, 1u, 2u, 3u) << vec4u(left - 2u)), lowest, counting);
      need = select(need, mass.x * params.share, !counting & (left == bits)); // nothing is found yet: x is the whole mass
      let enough = vec4u(mass >= vec4f(need));
      found += (enough.y + enough.z + enough.w) << (left - 2u);
    }
    lowest = max(lowest, found);
  }
  for (var j = lane; j < params.length; j += ${lanes}u) {
    let w = weights[row + j];
    weights[row + j] = select(0.0, w, (keyOf(x[row + j]) >= lowest) & (w >= params.least));
  }
}`,
  }),
);

export interface Cut {
  /** 1 / temperature. */
  readonly coolness: number;
  /** Entries that stay, and those equal to the last of them; undefined: all. */
  readonly count: number | undefined;
  /** Part of the mass that what stays must reach; 1: all of it. */
  readonly share: number;
  /** Part of the largest weight that each must reach. */
  readonly least: number;
}

/** x f32 [rows, length], contiguous. */
export function weightsOf(x: Tensor, rows: number, length: number, { coolness, count, share, least }: Cut): Tensor {
  const { engine } = x;
  const weights = engine.empty([rows, length]);
  const cut = { countBits: count === undefined || count >= length ? 0 : 32, count: count ?? length, shareBits: share < 1 ? 32 : 0, share, least };
  engine.gpu.dispatch(weigh(rowLanes(length)), { x: x.slice(), weights: weights.slice() }, { length, coolness, phases: 2, ...cut }, [rows]);
  return weights;
}
