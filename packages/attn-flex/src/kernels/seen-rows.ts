import type { Program } from "@polyhead/core";
import { Bounded, defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";
import { maskCode } from "./mask-code.ts";

/**
 * Legend
 *   keysOf   i32 [planes, query blocks, 1 + key blocks], as in block lists
 *   seen     u32 [planes, queries]: 1 where a query may see some key
 *   a thread owns a query, walks its block's list, and looks at cells of partial blocks only
 */
export type SeenRowsKernel = Kernel;

const kept = new Bounded<string, SeenRowsKernel>(64);

/** The kernel that finds queries without a key. */
export function seenRowsKernel(program: Program): SeenRowsKernel {
  return kept.get(program.key, () => build(program));
}

function build(program: Program): SeenRowsKernel {
  const { bindings, params, functions } = maskCode(program);
  return defineKernel<string, string>({
    name: "block mask: rows that see a key",
    bindings: { ...bindings, keysOf: "read array<i32>", seen: "write array<u32>" },
    params: {
      ...params,
      rows: "u32", queries: "u32", keys: "u32", heads: "u32", queryBlocks: "u32", keyBlocks: "u32",
      queryBlock: "u32", keyBlock: "u32", first: "u32", qOffset: "i32", kvOffset: "i32",
    },
    code: wgsl`
${functions}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = ${flatIndex(64)};
  if (row >= params.rows) { return; }
  let i = row % params.queries;
  let plane = row / params.queries;
  let h = i32(plane % params.heads);
  let b = i32(plane / params.heads);
  let q = params.qOffset + i32(i);
  let head = (plane * params.queryBlocks + (params.first + i) / params.queryBlock) * (params.keyBlocks + 1u);
  var found = false;
  for (var n = 0u; n < u32(keysOf[head]); n++) {
    let entry = u32(keysOf[head + 1u + n]);
    found = found | ((entry & 1u) == 1u);
    let j0 = (entry >> 1u) * params.keyBlock;
    let end = select(min(j0 + params.keyBlock, params.keys), j0, found);
    for (var j = j0; j < end; j++) {
      found = found | allows(b, h, q, params.kvOffset + i32(j));
    }
    if (found) { break; }
  }
  seen[row] = select(0u, 1u, found);
}`,
  });
}
