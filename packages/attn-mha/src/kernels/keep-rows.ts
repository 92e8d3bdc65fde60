// Copies x [B, H, T, D] and leaves out the rows below starts[b] and from lengths[b] or params.inUse on, which become 0.
//   one invocation an element
import { defineKernel, flatIndex, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";

export const keepRowsKernel: (options: { readonly starts: boolean; readonly lengths: boolean }) => Kernel = kernelFamily(({ starts, lengths }) =>
  defineKernel({
    name: "keep-rows",
    bindings: {
      x: "read array<f32>",
      ...(starts && { starts: "read array<i32>" as const }),
      ...(lengths && { lengths: "read array<i32>" as const }),
      kept: "write array<f32>",
    },
    params: { count: "u32", heads: "u32", rows: "u32", features: "u32", inUse: "i32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = ${flatIndex(64)};
  if (at >= params.count) { return; }
  let row = i32(at / params.features % params.rows);
  let b = at / (params.features * params.rows * params.heads);
  kept[at] = 0.0;
  if (row >= params.inUse) { return; }
  ${starts ? "if (row < starts[b]) { return; }" : ""}
  ${lengths ? "if (row >= lengths[b]) { return; }" : ""}
  kept[at] = x[at];
}`,
  }),
);
