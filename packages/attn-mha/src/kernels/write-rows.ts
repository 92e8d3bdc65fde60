// Writes rows of keys and of values into a cache, or from one into another.
//   kIn, vIn    [B, H, T, D] of a sequence's next rows; f32 with any strides, or packed halves, row-major
//   table       [B, columns]  where the cache is a pool: the page of a sequence's rows 0 … size − 1, and so on
//   kOut, vOut  [blocks, H, size, D]  f32, or halves packed two to a word; a block is a page, or all rows of a sequence
// Row t goes to row params.at + t. Keys are written by workgroups of z = 0, values by z = 1. An invocation owns an element, or
// where halves are packed a word, whose other half it keeps if that is no row of this call. Blocks hold an even number of
// elements, so that no word belongs to two.
import { defineKernel, flatIndex, kernelFamily, wgsl, type Kernel } from "@polyhead/gpu";
import { NEAREST_HALF } from "@polyhead/tensor";

export interface WriteRowsOptions {
  readonly source: "f32" | "f16";
  readonly dest: "f32" | "f16";
  readonly paged: boolean;
  /** Values are the first features of their keys, in the same memory. */
  readonly keysOnly: boolean;
}

const elements = (dtype: "f32" | "f16"): string => (dtype === "f16" ? "array<u32>" : "array<f32>");

/** Where row `t` of the source begins. */
const sourceRow = (x: "k" | "v"): string => `params.${x}Start + b * params.${x}B + h * params.${x}H + t * params.${x}T`;

const storeElement = (x: "k" | "v"): string => wgsl`
fn store_${x}(index: u32) {
  let d = index % params.${x}Size;
  let t = index / params.${x}Size % params.rows;
  let h = index / (params.${x}Size * params.rows) % params.heads;
  let b = index / (params.${x}Size * params.rows * params.heads);
  if (b >= params.batch) { return; }
  ${x}Out[rowOf(b, h, params.at + t) * params.${x}Size + d] = ${x}In[${sourceRow(x)} + d * params.${x}D];
}`;

const storeWord = (x: "k" | "v", source: "f32" | "f16"): string => wgsl`
fn half_${x}(b: u32, h: u32, t: u32, d: u32) -> u32 {
  let from_ = ${sourceRow(x)} + d * params.${x}D;
  return ${source === "f16" ? `(${x}In[from_ / 2u] >> (16u * (from_ % 2u))) & 0xffffu` : `nearestHalf(${x}In[from_])`};
}
fn store_${x}(index: u32) {
  let size = params.${x}Size;
  let words = params.rows * size / 2u + 1u;
  let h = index / words % params.heads;
  let b = index / (words * params.heads);
  let begin = params.at * size;
  let end = begin + params.rows * size;
  let first = (begin / 2u + index % words) * 2u;
  if (b >= params.batch || first >= end) { return; }
  let word = (rowOf(b, h, first / size) * size + first % size) / 2u;
  var bits = ${x}Out[word];
  if (first >= begin) { bits = (bits & 0xffff0000u) | half_${x}(b, h, first / size - params.at, first % size); }
  let second = first + 1u;
  if (second < end) { bits = (bits & 0xffffu) | (half_${x}(b, h, second / size - params.at, second % size) << 16u); }
  ${x}Out[word] = bits;
}`;

export const writeRowsKernel: (options: WriteRowsOptions) => Kernel = kernelFamily(({ source, dest, paged, keysOnly }) => {
  const store = (x: "k" | "v"): string => (dest === "f16" ? storeWord(x, source) : storeElement(x));
  return defineKernel({
    name: `write-rows/${source}-${dest}${paged ? " paged" : ""}${keysOnly ? " keys" : ""}`,
    bindings: {
      kIn: `read ${elements(source)}`,
      ...(!keysOnly && { vIn: `read ${elements(source)}` as const }),
      ...(paged && { table: "read array<i32>" as const }),
      kOut: `write ${elements(dest)}`,
      ...(!keysOnly && { vOut: `write ${elements(dest)}` as const }),
    },
    params: {
      at: "u32", rows: "u32", batch: "u32", heads: "u32", size: "u32", columns: "u32",
      kSize: "u32", kStart: "u32", kB: "u32", kH: "u32", kT: "u32", kD: "u32",
      ...(!keysOnly && { vSize: "u32", vStart: "u32", vB: "u32", vH: "u32", vT: "u32", vD: "u32" }),
    },
    code: wgsl`
${dest === "f16" && source === "f32" ? NEAREST_HALF : ""}
fn rowOf(b: u32, h: u32, row: u32) -> u32 {
  let block = ${paged ? "u32(table[b * params.columns + row / params.size])" : "b"};
  return (block * params.heads + h) * params.size + row % params.size;
}
${store("k")}
${keysOnly ? "" : store("v")}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = ${flatIndex(64)};
  ${keysOnly ? "store_k(index);" : "if (group.z == 0u) { store_k(index); } else { store_v(index); }"}
}`,
  });
});
