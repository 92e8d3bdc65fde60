// Rows of keys or values out of the pages that they are scattered over.
//   pool   [P, H, size, D]  f32, or halves packed two to a word
//   table  [B, pages]       page of a sequence's rows 0 … size − 1, size … 2·size − 1, and so on
//   rows   [B, H, T, D]     out, f32; rows from params.inUse on become 0, and their table entries are not read
//   one invocation an element
import { defineKernel, flatIndex, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";

export interface GatherPagesOptions {
  readonly dtype: "f32" | "f16";
}

export const gatherPagesKernel: (options: GatherPagesOptions) => Kernel = kernelFamily(({ dtype }) =>
  defineKernel({
    name: `gather-pages/${dtype}`,
    bindings: { pool: dtype === "f16" ? "read array<u32>" : "read array<f32>", table: "read array<i32>", rows: "write array<f32>" },
    params: { count: "u32", heads: "u32", length: "u32", features: "u32", size: "u32", pages: "u32", inUse: "i32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = ${flatIndex(64)};
  if (at >= params.count) { return; }
  let d = at % params.features;
  let row = at / params.features % params.length;
  let h = at / (params.features * params.length) % params.heads;
  let b = at / (params.features * params.length * params.heads);
  if (i32(row) >= params.inUse) { rows[at] = 0.0; return; }
  let page = u32(table[b * params.pages + row / params.size]);
  let element = ((page * params.heads + h) * params.size + row % params.size) * params.features + d;
  rows[at] = ${dtype === "f16" ? "unpack2x16float(pool[element / 2u])[element % 2u]" : "pool[element]"};
}`,
  }),
);
