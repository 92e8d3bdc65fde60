// Philox4x32-10 in WGSL, and the operators that draw from it.
//   invocation i owns elements 4i .. 4i + 3 and draws block i of the stream
import { emitWgsl } from "@polyhead/expr";
import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";
import { boxMuller } from "../philox.ts";

/** `philox(counter, key) -> vec4u`, the same numbers as philox.ts. */
export const PHILOX: string = wgsl`
fn mulHigh(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu; let ah = a >> 16u; let bl = b & 0xffffu; let bh = b >> 16u;
  // Neither sum overflows: (2¹⁶ − 1)² + 2¹⁶ − 1 < 2³².
  let middle = al * bh + ((al * bl) >> 16u);
  let cross = ah * bl + (middle & 0xffffu);
  return ah * bh + (middle >> 16u) + (cross >> 16u);
}
fn philox(start: vec4u, secret: vec2u) -> vec4u {
  var c = start;
  var k = secret;
  for (var r = 0u; r < 10u; r++) {
    c = vec4u(mulHigh(0xcd9e8d57u, c.z) ^ c.y ^ k.x, 0xcd9e8d57u * c.z, mulHigh(0xd2511f53u, c.x) ^ c.w ^ k.y, 0xd2511f53u * c.x);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}
fn toUnit(word: vec4u) -> vec4f { return vec4f(word >> vec4u(8u)) * ${1 / 2 ** 24}; }`;

export const uniformKernel: Kernel<"values", "groups4" | "stream" | "seed" | "purpose" | "low" | "span" | "most"> = defineKernel({
  name: "uniform",
  bindings: { values: "write array<vec4f>" },
  params: { groups4: "u32", stream: "u32", seed: "u32", purpose: "u32", low: "f32", span: "f32", most: "f32" },
  code: wgsl`
${PHILOX}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.groups4) { return; }
  let value = params.low + params.span * toUnit(philox(vec4u(i, 0u, params.stream, 0u), vec2u(params.seed, params.purpose)));
  values[i] = min(value, vec4f(params.most)); // the sum may round up to the end, which is not part of the range
}`,
});

const { statements, results, helpers } = emitWgsl(boxMuller, { vars: { u: "u", v: "v" } });

export const randnKernel: Kernel<"values", "groups4" | "stream" | "seed" | "purpose" | "mean" | "spread"> = defineKernel({
  name: "randn",
  bindings: { values: "write array<vec4f>" },
  params: { groups4: "u32", stream: "u32", seed: "u32", purpose: "u32", mean: "f32", spread: "f32" },
  code: wgsl`
${PHILOX}
${Object.values(helpers)}
fn boxMuller(u: f32, v: f32) -> vec2f {
${statements}
return vec2f(${results.join(", ")});
}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.groups4) { return; }
  let draw = toUnit(philox(vec4u(i, 0u, params.stream, 0u), vec2u(params.seed, params.purpose)));
  values[i] = params.mean + params.spread * vec4f(boxMuller(draw.x, draw.y), boxMuller(draw.z, draw.w));
}`,
});

export const dropoutKernel: Kernel<"x" | "kept", "groups4" | "stream" | "seed" | "purpose" | "probability" | "factor"> = defineKernel({
  name: "dropout",
  bindings: { x: "read array<vec4f>", kept: "write array<vec4f>" },
  params: { groups4: "u32", stream: "u32", seed: "u32", purpose: "u32", probability: "f32", factor: "f32" },
  code: wgsl`
${PHILOX}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.groups4) { return; }
  let draw = toUnit(philox(vec4u(i, 0u, params.stream, 0u), vec2u(params.seed, params.purpose)));
  kept[i] = select(vec4f(), x[i] * params.factor, draw >= vec4f(params.probability));
}`,
});
