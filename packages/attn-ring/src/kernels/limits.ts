// Limits of padding, counted in rows of a run of keys instead of rows of all: ⌈(limit − start) / stride⌉, cut at 0 and at the run's length.
//   rows, limits  i32 [B]
import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";

export const limitsKernel: Kernel<"rows" | "limits", "count" | "start" | "stride" | "length"> = defineKernel({
  name: "ring-limits",
  bindings: { rows: "read array<i32>", limits: "write array<i32>" },
  params: { count: "u32", start: "i32", stride: "i32", length: "i32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.count) { return; }
  let after = max(rows[i] - params.start, 0i);
  limits[i] = min((after + params.stride - 1i) / params.stride, params.length);
}`,
});
