import { wgsl } from "@polyhead/gpu";
import { basesOf, innerOf, loaders, overReduced, QUAD, quadOfB } from "./access.ts";
import { storer } from "./epilogue.ts";
import type { MatmulSpec, VectorTemplate } from "./spec.ts";

/**
 * See `VectorTemplate`. One row of A (along K) a workgroup. Neighbouring threads read neighbouring memory: slices of K
 * where B lies along K, columns where it lies across. All threads take the steps that all of them have in one loop whose count is the
 * same for them: where each had a count of its own, a CPU that runs them side by side would load under a mask, at half the speed.
 */
export function vectorTile(spec: MatmulSpec, { x, slices, meet }: VectorTemplate): string {
  const threads = x * slices;
  const [column, slice] = spec.transB ? [`thread / ${slices}u`, `thread % ${slices}u`] : [`thread % ${x}u`, `thread / ${x}u`];
  const lane = meet === "subgroup" ? "@builtin(subgroup_invocation_id) thread: u32" : "@builtin(local_invocation_index) thread: u32";
  const join =
    meet === "subgroup"
      ? wgsl`let total = subgroupAdd(sum);
  if (thread == 0u) { store(group.z, cBase, row, column, total); }`
      : wgsl`parts[thread] = sum;
  workgroupBarrier();
  if (thread < ${x}u) {
    var total = vec4f(0.0);
    for (var s = 0u; s < ${slices}u; s++) { total += parts[${spec.transB ? `thread * ${slices}u + s` : `s * ${x}u + thread`}]; }
    store(group.z, cBase, row, (group.x * ${x}u + thread) * 4u, total);
  }`;
  const add = spec.transB
    ? wgsl`let four = loadA(aBase, row, k);
  sum += vec4f(${QUAD.map((j) => `dot(four, loadB(bBase, column + ${j}u, k))`).join(", ")});`
    : wgsl`let four = loadA(aBase, row, k);
  ${quadOfB(spec, 0, "column", "k")}
  sum += four.x * b0_0 + four.y * b1_0 + four.z * b2_0 + four.w * b3_0;`;
  return wgsl`
${meet === "workgroup" ? `var<workgroup> parts: array<vec4f, ${threads}>;` : ""}
${loaders(spec, spec.ragged)}
${storer(spec)}
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3u, ${lane}) {
${basesOf(spec)}
  let row = group.y;
  let column = (group.x * ${x}u + ${column}) * 4u;
  let slice = ${slice};
  var sum = vec4f(0.0);
${overReduced(
  spec,
  wgsl`let steps = ${innerOf(spec)} / ${slices * 4}u;
for (var step = 0u; step < steps; step++) {
  let k = (step * ${slices}u + slice) * 4u;
  ${add}
}
let k = (steps * ${slices}u + slice) * 4u;
if (k < ${innerOf(spec)}) {
  ${add}
}`,
)}
  ${join}
}`;
}
