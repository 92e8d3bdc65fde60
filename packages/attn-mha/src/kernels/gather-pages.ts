// Rows of keys or values out of the pages that they are scattered over.
//   pool   [P, H, size, D]  f32, or halves packed two to a word
//   table  [B, pages]       page of a sequence's rows 0 … size − 1, size … 2·size − 1, and so on
//   rows   [B, H, T, D]     out, f32; rows from params.inUse on become 0, and their table entries are not read
//   one invocation an element, or where D divides by four a group of four; workgroups of one y share a (b, h)
import { defineKernel, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";

export interface GatherPagesOptions {
  readonly dtype: "f32" | "f16";
  /** D divides by four. */
  readonly wide: boolean;
}

/** What the pool holds at `at`, as f32. */
function load({ dtype, wide }: GatherPagesOptions): string {
  if (dtype === "f32") return "pool[at]";
  return wide ? "vec4f(unpack2x16float(pool[at].x), unpack2x16float(pool[at].y))" : "unpack2x16float(pool[at / 2u])[at % 2u]";
}

export const gatherPagesKernel: (options: GatherPagesOptions) => Kernel = kernelFamily((options) => {
  const { dtype, wide } = options;
  const type = wide ? "vec4f" : "f32";
  return defineKernel({
    name: `gather-pages/${dtype}${wide ? " x4" : ""}`,
    bindings: {
      pool: dtype === "f32" ? (`read array<${type}>` as const) : `read array<${wide ? "vec2u" : "u32"}>`,
      table: "read array<i32>",
      rows: `write array<${type}>`,
    },
    // Features are counted in groups; a page has 2 ** shift rows.
    params: { heads: "u32", length: "u32", features: "u32", shift: "u32", pages: "u32", inUse: "i32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x / params.features;
  if (row >= params.length) { return; }
  let d = id.x - row * params.features;
  let plane = id.y;
  let out = (plane * params.length + row) * params.features + d;
  if (i32(row) >= params.inUse) { rows[out] = ${type}(0.0); return; }
  let b = plane / params.heads;
  let h = plane - b * params.heads;
  let page = u32(table[b * params.pages + (row >> params.shift)]);
  let local = row & ((1u << params.shift) - 1u);
  let at = (((page * params.heads + h) << params.shift) + local) * params.features + d;
  rows[out] = ${load(options)};
}`,
  });
});
