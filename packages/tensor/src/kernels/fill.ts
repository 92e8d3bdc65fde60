import { defineKernel, derived, flatGrid, flatIndex, wgsl, type Scalar } from "@polyhead/gpu";
import { toHalf } from "../half.ts";
import { bytesOf, type DType } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const fillWords = defineKernel({
  name: "fill",
  bindings: { words: "write array<u32>" },
  params: { count: "u32", word: "u32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i < params.count) { words[i] = params.word; }
}`,
});

const bits = new DataView(new ArrayBuffer(4));

function wordOf(value: number, dtype: DType): number {
  switch (dtype) {
    case "f32":
      bits.setFloat32(0, value);
      return bits.getUint32(0);
    case "f16":
      return (toHalf(value) * 0x10001) >>> 0;
    default:
      return value >>> 0;
  }
}

/** Sets every element of a fresh, contiguous tensor. */
export function fill(tensor: Tensor, value: Scalar): void {
  if (tensor.size === 0) return;
  const count = bytesOf(tensor.size, tensor.dtype) / 4;
  tensor.engine.gpu.dispatch(fillWords, { words: tensor.slice() }, { count, word: derived(value, (now) => wordOf(now, tensor.dtype)) }, flatGrid(count, 64));
}
