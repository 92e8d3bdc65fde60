import { defineKernel, flatIndex, wgsl, type Kernel } from "@polyhead/gpu";

/**
 * Legend
 *   states   u32 [planes, query blocks, key blocks]: 0 empty, 1 partial, 2 full
 *   lists    i32 [planes, owners, 1 + entries]: a count, then `entry << 1 | full`, ascending
 *   a thread owns a list and walks over its entries in order, so lists are the same on every run
 *
 * Seen from queries, an owner is a row of blocks and strides are (key blocks, 1); seen from keys, (1, key blocks).
 */
export const compactKernel: Kernel<"states" | "lists", "total" | "owners" | "entries" | "ownerStride" | "entryStride"> = defineKernel({
  name: "block mask: compact",
  bindings: { states: "read array<u32>", lists: "write array<i32>" },
  params: { total: "u32", owners: "u32", entries: "u32", ownerStride: "u32", entryStride: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let list = ${flatIndex(64)};
  if (list >= params.total) { return; }
  let first = list / params.owners * params.owners * params.entries + list % params.owners * params.ownerStride;
  let head = list * (params.entries + 1u);
  var count = 0u;
  for (var entry = 0u; entry < params.entries; entry++) {
    let state = states[first + entry * params.entryStride];
    if (state != 0u) {
      count++;
      lists[head + count] = i32((entry << 1u) | (state >> 1u));
    }
  }
  lists[head] = i32(count);
}`,
});
