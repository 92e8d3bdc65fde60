// Row numbers counted from another row on: shifted[i] = rows[i] − params.first.
import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";

export const shiftRowsKernel: Kernel<"rows" | "shifted", "count" | "first"> = defineKernel({
  name: "shift-rows",
  bindings: { rows: "read array<i32>", shifted: "write array<i32>" },
  params: { count: "u32", first: "i32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i < params.count) { shifted[i] = rows[i] - params.first; }
}`,
});
