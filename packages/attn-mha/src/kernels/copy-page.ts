// Copies a page of keys, and of values unless they are a part of their keys, to another page of the same pools, word by word.
//   k, v  pools, as words; source, dest are the first words of the pages
//   one invocation a word of each
import { defineKernel, flatIndex, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";

export const copyPageKernel: (keysOnly: boolean) => Kernel = kernelFamily((keysOnly) => defineKernel({
  name: `copy-page${keysOnly ? " keys" : ""}`,
  bindings: { k: "write array<u32>", ...(!keysOnly && { v: "write array<u32>" as const }) },
  params: { source: "u32", dest: "u32", words: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let word = ${flatIndex(64)};
  if (word >= params.words) { return; }
  k[params.dest + word] = k[params.source + word];
  ${keysOnly ? "" : "v[params.dest + word] = v[params.source + word];"}
}`,
}));
