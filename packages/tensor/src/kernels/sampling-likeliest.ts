// The place of the largest logit of every row of x [rows, length]: chosen u32 [rows].
//   a workgroup owns a row, a lane every LANES-th entry; the lowest place among equals
//   0xffffffff for a row with NaN, with +∞ or of −∞ alone
import { defineKernel, kernelFamily, wgsl } from "@polyhead/gpu";
import { NONE, ordered, rowLanes, treeOver, type RowLanes } from "./sampling-rows.ts";
import type { Tensor } from "../tensor.ts";

const likeliest = kernelFamily((lanes: RowLanes) =>
  defineKernel({
    name: `likeliest ${lanes}`,
    bindings: { x: "read array<u32>", chosen: "write array<u32>" },
    params: { length: "u32" },
    code: wgsl`
${ordered}
// (key, complement of the place, whether anything is bad): of equal keys the lower place has the larger complement.
fn better(a: vec3u, b: vec3u) -> vec3u {
  let second = (b.x > a.x) | ((b.x == a.x) & (b.y > a.y));
  return vec3u(select(a.xy, b.xy, second), a.z | b.z);
}
${treeOver("vec3u", lanes, "bestOf", (a, b) => `better(${a}, ${b})`)}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.length;
  var own = vec3u();
  for (var j = lane; j < params.length; j += ${lanes}u) { own = better(own, vec3u(keyOf(x[row + j]), ~j, isBad(x[row + j]))); }
  let best = bestOf(own, lane);
  if (lane == 0u) { chosen[group.x] = select(${NONE}, ~best.y, (best.x > LOWEST_KEY) & (best.z == 0u)); }
}`,
  }),
);

export function likeliestOf(x: Tensor, rows: number, length: number): Tensor {
  const chosen = x.engine.empty([rows], "u32");
  x.engine.gpu.dispatch(likeliest(rowLanes(length)), { x: x.slice(), chosen: chosen.slice() }, { length }, [rows]);
  return chosen;
}
