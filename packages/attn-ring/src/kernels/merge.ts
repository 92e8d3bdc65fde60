// Takes attention over some more keys into attention over those before: with w = 2^(lse − greater of both),
// o = (w o + w′ o′) / (w + w′), lse = greater + log(w + w′).
//   o, part  [B, Hq, Tq, Dv], each normalised by its own sum; o is overwritten     lse, partLse, newLse  [B, Hq, Tq]  natural
//   one invocation a group of four columns
import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";

export const merge: Kernel<"part" | "partLse" | "lse" | "o" | "newLse", "count" | "quads" | "unseen" | "minusInfinity"> = defineKernel({
  name: "ring-merge",
  bindings: { part: "read array<vec4f>", partLse: "read array<f32>", lse: "read array<f32>", o: "write array<vec4f>", newLse: "write array<f32>" },
  params: { count: "u32", quads: "u32", unseen: "f32", minusInfinity: "f32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = ${flatIndex(64)};
  if (at >= params.count) { return; }
  let row = at / params.quads;
  // A row that has seen no key yet is at minus infinity, which the difference of two would make NaN of.
  let before = max(lse[row], params.unseen);
  let here = max(partLse[row], params.unseen);
  let most = max(before, here);
  let w = select(0.0, exp(before - most), before > params.unseen);
  let v = select(0.0, exp(here - most), here > params.unseen);
  let sum = w + v;
  o[at] = (w * o[at] + v * part[at]) * select(0.0, 1.0 / sum, sum > 0.0);
  if (at % params.quads == 0u) { newLse[row] = select(params.minusInfinity, most + log(sum), sum > 0.0); }
}`,
});
