// Top-p: of every row of weights [rows, length], the smallest set of the largest whose sum reaches a share of all. In place.
//   weights  f32, at least 0 and at most 1, so that their bits are ordered as they are; a workgroup owns a row, a lane every LANES-th entry
//   what is not kept, or is below `least`, becomes 0
import { defineKernel, kernelFamily, wgsl } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import { lowestKept, rowLanes, type RowLanes } from "./sampling-rows.ts";

/** No weight is above 1, whose bits are below 2³⁰. */
const BITS = 30;

const cutNucleus = kernelFamily((lanes: RowLanes) =>
  defineKernel({
    name: `sampling-nucleus ${lanes}`,
    bindings: { weights: "write array<f32>" },
    params: { length: "u32", bits: "u32", share: "f32", least: "f32" },
    code: wgsl`
${lowestKept(lanes, { key: (j) => `bitcast<u32>(weights[${j}])`, mass: (j) => `weights[${j}]` })}
@compute @workgroup_size(${lanes})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.x * params.length;
  let lowest = lowestKept(row, lane, params.bits, 0.0, params.share);
  for (var j = lane; j < params.length; j += ${lanes}u) {
    let w = weights[row + j];
    weights[row + j] = select(0.0, w, (bitcast<u32>(w) >= lowest) & (w >= params.least));
  }
}`,
  }),
);

/** weights f32 [rows, length], contiguous; `share` is above 0 and below 1. */
export function cutNucleusOf(weights: Tensor, rows: number, length: number, share: number, least: number): void {
  weights.engine.gpu.dispatch(cutNucleus(rowLanes(length)), { weights: weights.slice() }, { length, bits: BITS, share, least }, [rows]);
}
