// Which ids each row of a batch has met: seen u32 [rows, length], 1 where it has.
//   an invocation owns one of ids u32 [rows, perRow]; ids past the row are nobody's, so padding marks nothing
//   two invocations may write the same word: both write 1
import { defineKernel, flatGrid, flatIndex, wgsl } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";

const mark = defineKernel({
  name: "mark-seen",
  bindings: { ids: "read array<u32>", seen: "write array<atomic<u32>>" },
  params: { count: "u32", perRow: "u32", length: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  let id = ids[i];
  if (id < params.length) { atomicStore(&seen[i / params.perRow * params.length + id], 1u); }
}`,
});

export function markSeenIn(seen: Tensor, ids: Tensor, perRow: number): void {
  if (ids.size === 0) return;
  seen.engine.gpu.dispatch(mark, { ids: ids.slice(), seen: seen.slice() }, { count: ids.size, perRow, length: seen.shape[1]! }, flatGrid(ids.size, 64));
}
