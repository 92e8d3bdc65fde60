// Where the first bad number of a tensor is.
//   words  f32 one to a word, f16 two to a word; an invocation owns a word
//   found  an index a question, 0xffffffff at the start; the smallest index of a bad number lands at params.slot
//   given, quoted  what another tensor holds at that index, for messages; nothing where no number was bad
// Bits are compared, since compilers may take x != x for false.
import { defineKernel, flatGrid, flatIndex, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";
import { bytesOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** What counts as bad: NaN alone, or infinities too. */
export type Bad = "nan" | "infinite";

const search: (options: { readonly half: boolean; readonly bad: Bad }) => Kernel = kernelFamily(({ half, bad }) => {
  const limit = half ? 0x7c00 : 0x7f800000;
  const test = (bits: string, index: string): string => wgsl`if ((${bits}) ${bad === "nan" ? ">" : ">="} ${limit}u) { atomicMin(&found[params.slot], ${index}); }`;
  return defineKernel({
    name: `first-bad/${half ? "f16" : "f32"} ${bad}`,
    bindings: { words: "read array<u32>", found: "write array<atomic<u32>>" },
    params: { words: "u32", count: "u32", slot: "u32" },
    code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i >= params.words) { return; }
  let word = words[i];
  ${half ? `${test("word & 0x7fffu", "2u * i")}\n  if (2u * i + 1u < params.count) { ${test("(word >> 16u) & 0x7fffu", "2u * i + 1u")} }` : test("word & 0x7fffffffu", "i")}
}`,
  });
});

const quoteKernel = defineKernel({
  name: "quote-number",
  bindings: { given: "read array<f32>", found: "read array<u32>", quoted: "write array<f32>" },
  params: { count: "u32", slot: "u32" },
  code: wgsl`
@compute @workgroup_size(1)
fn main() {
  let i = found[params.slot];
  if (i < params.count) { quoted[params.slot] = given[i]; }
}`,
});

/** `found[slot]` becomes the flat index of the first bad number of `x` (f32 or f16, contiguous). */
export function findFirstBad(x: Tensor, bad: Bad, found: Tensor, slot: number): void {
  const half = x.dtype === "f16";
  const words = bytesOf(x.size, x.dtype) / 4;
  x.engine.gpu.dispatch(search({ half, bad }), { words: x.slice(), found: found.slice() }, { words, count: x.size, slot }, flatGrid(words, 64));
}

/** `quoted[slot]` becomes what `given` (f32, contiguous) holds at `found[slot]`. */
export function quoteNumber(given: Tensor, found: Tensor, quoted: Tensor, slot: number): void {
  given.engine.gpu.dispatch(quoteKernel, { given: given.slice(), found: found.slice(), quoted: quoted.slice() }, { count: given.size, slot }, [1]);
}
