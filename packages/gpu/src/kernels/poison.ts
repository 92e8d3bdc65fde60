// Fills a buffer with NaN, so that a kernel which reads what nobody wrote is found out.
//   words   the whole buffer; one invocation a 32-bit word
import { defineKernel, flatIndex, type Kernel } from "../kernel.ts";
import { wgsl } from "../wgsl.ts";

export const poisonKernel: Kernel<"words"> = defineKernel({
  name: "poison",
  bindings: { words: "write array<u32>" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i < arrayLength(&words)) { words[i] = 0xffffffffu; }
}`,
});
