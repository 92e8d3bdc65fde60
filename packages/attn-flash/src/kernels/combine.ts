// Joins the parts of a pass that was split over keys: o = Σ wₛ oₛ / Σ wₛ with wₛ = 2^(lseₛ − max), lse = max + log Σ wₛ.
//   parts  [splits, B, Tq, Hq, Dv]   each normalised by its own sum     partLse  [splits, B, Hq, Tq]  log2-sum-exp
//   o      [B, Tq, Hq, Dv]           lse  [B, Hq, Tq]  natural
//   one invocation a group of four columns
import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";
import { LN2, UNSEEN } from "./frame.ts";

export const combine: Kernel<"parts" | "partLse" | "o" | "lse", "count" | "quads" | "heads" | "queries" | "splits" | "rows" | "minusInfinity"> = defineKernel({
  name: "flash-combine",
  bindings: { parts: "read array<vec4f>", partLse: "read array<f32>", o: "write array<vec4f>", lse: "write array<f32>" },
  params: { count: "u32", quads: "u32", heads: "u32", queries: "u32", splits: "u32", rows: "u32", minusInfinity: "f32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = ${flatIndex(64)};
  if (at >= params.count) { return; }
  let c = at % params.quads;
  let h = (at / params.quads) % params.heads;
  let i = (at / (params.quads * params.heads)) % params.queries;
  let b = at / (params.quads * params.heads * params.queries);
  let row = (b * params.heads + h) * params.queries + i;
  var most = ${UNSEEN};
  for (var s = 0u; s < params.splits; s++) { most = max(most, partLse[s * params.rows + row]); }
  var sum = 0.0;
  var o4 = vec4f(0.0);
  for (var s = 0u; s < params.splits; s++) {
    let w = exp2(partLse[s * params.rows + row] - most);
    // A part without an allowed key has a weight of 0, and its zeros are finite.
    sum += w;
    o4 += w * parts[s * params.count + at];
  }
  o[at] = o4 * select(0.0, 1.0 / sum, sum > 0.0);
  if (c == 0u) { lse[row] = select(params.minusInfinity, (most + log2(sum)) * ${LN2}, sum > 0.0); }
}`,
});
