// Fixed-point sums of kernels/learn.ts to f32.
//   sums      [elements, 2] u32, then a flag     ld  the pair at `scaleAt`: (2ᵏ, 2⁻ᵏ)
//   gradient  [elements]: NaN, all of it, where a number did not fit
import { defineKernel, f32Literal, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";
import { LOW_START } from "./learn.ts";

export const learnFinish: Kernel<"sums" | "ld" | "gradient", "count" | "scaleAt"> = defineKernel({
  name: "flash-learn-finish",
  bindings: { sums: "read array<u32>", ld: "read array<vec2f>", gradient: "write array<f32>" },
  params: { count: "u32", scaleAt: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = ${flatIndex(64)};
  if (at >= params.count) { return; }
  let flagged = sums[2u * params.count] != ${LOW_START}u;
  var low = sums[2u * at] - ${LOW_START}u;
  // All words start alike, and the low one's borrow is the high one's.
  var high = sums[2u * at + 1u] - ${LOW_START}u - select(0u, 1u, sums[2u * at] < ${LOW_START}u);
  let below = (high >> 31u) == 1u;
  // The size first: −1 · 2³² + (2³² − 1) would round to 0.
  low = select(low, ~low + 1u, below);
  high = select(high, ~high + select(0u, 1u, low == 0u), below);
  let size = f32(high) * ld[params.scaleAt].y + f32(low) * (ld[params.scaleAt].y * ${f32Literal(2 ** -32)});
  gradient[at] = select(select(size, -size, below), bitcast<f32>(0x7fc00000u | u32(flagged)), flagged);
}`,
});
