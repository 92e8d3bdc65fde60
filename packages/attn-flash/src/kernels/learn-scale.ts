// The fixed-point scale of kernels/learn.ts, from a bound that no sum can pass. A row's weights sum to 1, so
//   Σⱼ |eᵢⱼ| = Σⱼ pᵢⱼ |gᵢ·vⱼ − Δᵢ| ≤ |gᵢ| max |vⱼ| + |Δᵢ|,      and all rows together: Σᵢ (|gᵢ| max |vⱼ| + |Δᵢ|)
// Times 2^STEEPEST for the derivatives, this is to stay below 2³⁰ units of the high word.
//   values  [B, Hkv, Tk]   |vⱼ|, 0 for rows out of use
//   rows    [B, Hq, Tq]    (|gᵢ|, |Δᵢ|), from kernels/delta.ts
//   ld      the pair at `scaleAt` is written
import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";
import type { FlashForm } from "../spec.ts";
import { frame, frameParams, inputBindings } from "./frame.ts";
import { STEEPEST } from "./learn.ts";

/** What cannot be part of a sum that is right: such a row makes the gradient NaN elsewhere, if it is in use at all. */
export const finite = (x: string): string => `select(0.0, ${x}, ${x} <= 3.0e38)`;

export const valueNorms = (form: FlashForm): Kernel =>
  defineKernel<string, string>({
    name: "flash-value-norms",
    bindings: { ...inputBindings(form), values: "write array<f32>" },
    params: { ...frameParams(form), keyRows: "u32", count: "u32" },
    code: wgsl`
${frame(form)}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = ${flatIndex(64)};
  if (row >= params.count) { return; }
  let j = row % params.keyRows;
  let hk = (row / params.keyRows) % params.kvHeads;
  let b = row / (params.keyRows * params.kvHeads);
  var sum = 0.0;
  if (i32(j) >= firstKey(b) && i32(j) < endKey(b)) {
    let base = valueBase(b, hk, j);
    for (var c = 0u; c < params.depthV; c++) { let x = vRow(base, c); sum += dot(x, x); }
  }
  values[row] = ${finite("sqrt(sum)")};
}`,
  });

/** Invocations of the one workgroup. */
const THREADS = 256;

export const learnScale: Kernel<"rows" | "values" | "ld", "rowCount" | "valueCount" | "scaleAt"> = defineKernel({
  name: "flash-learn-scale",
  bindings: { rows: "read array<vec2f>", values: "read array<f32>", ld: "write array<vec2f>" },
  params: { rowCount: "u32", valueCount: "u32", scaleAt: "u32" },
  code: wgsl`
var<workgroup> parts: array<vec3f, ${THREADS}>;
@compute @workgroup_size(${THREADS})
fn main(@builtin(local_invocation_index) thread: u32) {
  var longest = 0.0;
  for (var n = thread; n < params.valueCount; n += ${THREADS}u) { longest = max(longest, values[n]); }
  var sums = vec2f(0.0);
  for (var n = thread; n < params.rowCount; n += ${THREADS}u) { sums += rows[n]; }
  parts[thread] = vec3f(longest, sums);
  workgroupBarrier();
  if (thread == 0u) {
    var all = parts[0];
    for (var n = 1u; n < ${THREADS}u; n++) { all = vec3f(max(all.x, parts[n].x), all.yz + parts[n].yz); }
    let bound = all.y * all.x + all.z;
    // Powers of two by their bits, so that scaling is exact. The exponent of the bound is rounded up.
    let exponent = i32((bitcast<u32>(bound) >> 23u) & 255u) - 126i;
    let k = clamp(${30 - STEEPEST}i - exponent, -126i, 126i);
    ld[params.scaleAt] = vec2f(bitcast<f32>(u32(k + 127i) << 23u), bitcast<f32>(u32(127i - k) << 23u));
  }
}`,
});
