// What backward needs of a row of the output, packed: (log2-sum-exp, Δ) with Δ = Σ g · o − dlse.
//   o, g   [B, Hq, Tq, Dv] by strides      lse, dlse  [B, Hq, Tq]      ld  [B, Hq, Tq]
//   rows   [B, Hq, Tq]  where hooks learn: (|g|, |Δ|), for kernels/learn-scale.ts
//   one invocation a row. A row without an allowed key gets a log-sum-exp so large that each of its weights is 0.
import { defineKernel, flatIndex, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";
import { fmaDot } from "./cells.ts";
import { LOG2E } from "./frame.ts";
import { finite } from "./learn-scale.ts";

const ROW_NORMS = wgsl`
  var square = 0.0;
  for (var c = 0u; c < params.quads; c++) { square += dot(g[gBase + c], g[gBase + c]); }
  let far = abs(delta);
  rows[row] = vec2f(${finite("sqrt(square)")}, ${finite("far")});`;

export const delta: (options: { readonly dlse: boolean; readonly rows: boolean }) => Kernel = kernelFamily(({ dlse, rows }) =>
  defineKernel<string, string>({
    name: "flash-delta",
    bindings: { o: "read array<vec4f>", g: "read array<vec4f>", lse: "read array<f32>", ...(dlse && { dlse: "read array<f32>" as const }), ld: "write array<vec2f>", ...(rows && { rows: "write array<vec2f>" as const }) },
    params: { count: "u32", quads: "u32", heads: "u32", queries: "u32", oAt: "u32", oB: "u32", oH: "u32", oT: "u32", gAt: "u32", gB: "u32", gH: "u32", gT: "u32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = ${flatIndex(64)};
  if (row >= params.count) { return; }
  let i = row % params.queries;
  let h = (row / params.queries) % params.heads;
  let b = row / (params.queries * params.heads);
  let oBase = params.oAt + b * params.oB + h * params.oH + i * params.oT;
  let gBase = params.gAt + b * params.gB + h * params.gH + i * params.gT;
  var sum = 0.0;
  // In the order of the products that Δ is subtracted from, so that a row with one key comes out as exactly 0.
  for (var c = 0u; c < params.quads; c++) { sum = ${fmaDot("g[gBase + c]", "o[oBase + c]", "sum")}; }
  let whole = lse[row];
  let delta = sum${dlse ? " - dlse[row]" : ""};
  ld[row] = vec2f(select(whole * ${LOG2E}, 3.0e38, whole < -3.4028234e38), delta);
  ${rows ? ROW_NORMS : ""}
}`,
  }),
);
