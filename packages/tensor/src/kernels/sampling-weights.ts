// What a draw is among: weights [rows, length] of logits x [rows, length], after temperature and top-k.
//   x        the bits of f32; a workgroup owns a row, a lane every LANES-th entry of it
//   weights  exp((x − largest) · coolness) of what is kept and is at least `least`, else 0
//   a row with NaN, with +∞ or of −∞ alone is all 0
import { defineKernel, kernelFamily, wgsl } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import { lowestKept, ordered, rowLanes, treeOver, type RowLanes } from "./sampling-rows.ts";

const weigh = kernelFamily((lanes: RowLanes) =>
  defineKernel({
    name: `sampling-weights ${lanes}`,
    bindings: { x: "read array<u32>", weights: "write array<f32>" },
    // countBits is 32, or 0 where all stay. It is a scalar, so that drivers unroll nothing.
    params: { length: "u32", coolness: "f32", countBits: "u32", count: "f32", least: "f32" },
    code: wgsl`
${ordered}
${treeOver("vec2u", lanes, "largestOf", (a, b) => `max(${a}, ${b})`)}
${lowestKept(lanes, { key: (j) => `keyOf(x[${j}])`, mass: () => "1.0" })}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.length;
  var seen = vec2u();
  for (var j = lane; j < params.length; j += ${lanes}u) { seen = max(seen, vec2u(keyOf(x[row + j]), isBad(x[row + j]))); }
  let largest = largestOf(seen, lane);
  let usable = (largest.x > LOWEST_KEY) & (largest.y == 0u);
  let peak = numberOf(largest.x);
  let lowest = lowestKept(row, lane, params.countBits, params.count, 0.0);
  for (var j = lane; j < params.length; j += ${lanes}u) {
    let bits = x[row + j];
    let w = exp((bitcast<f32>(bits) - peak) * params.coolness);
    weights[row + j] = select(0.0, w, usable & (bits != MINUS_INFINITY) & (keyOf(bits) >= lowest) & (w >= params.least));
  }
}`,
  }),
);

export interface Cut {
  /** 1 / temperature. */
  readonly coolness: number;
  /** Entries that stay, and those equal to the last of them; undefined: all. */
  readonly count: number | undefined;
  /** Part of the largest weight that each must reach. */
  readonly least: number;
}

/** x f32 [rows, length], contiguous. */
export function weightsOf(x: Tensor, rows: number, length: number, { coolness, count = length, least }: Cut): Tensor {
  const { engine } = x;
  const weights = engine.empty([rows, length]);
  engine.gpu.dispatch(weigh(rowLanes(length)), { x: x.slice(), weights: weights.slice() }, { length, coolness, countBits: count < length ? 32 : 0, count, least }, [rows]);
  return weights;
}
