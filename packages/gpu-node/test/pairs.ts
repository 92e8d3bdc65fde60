import { defineKernel, flatGrid, flatIndex, wgsl, type BufferSlice, type Gpu, type Kernel, type PoolBuffer, type Scalar } from "@polyhead/gpu";

/** y[i] = factor · x[i] + shift: a scalar of every type. */
export const scale: Kernel<"x" | "y", "count" | "factor" | "shift"> = defineKernel({
  name: "scale",
  bindings: { x: "read array<f32>", y: "write array<f32>" },
  params: { count: "u32", factor: "f32", shift: "i32" },
  code: wgsl`
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = ${flatIndex(64)};
  if (i < params.count) { y[i] = x[i] * params.factor + f32(params.shift); }
}`,
});

/** y[0] = 2 · y[0], without scalars. */
export const double: Kernel<"y"> = defineKernel({
  name: "double",
  bindings: { y: "write array<f32>" },
  code: wgsl`@compute @workgroup_size(1) fn main() { y[0] = 2.0 * y[0]; }`,
});

/** Pairs of numbers on a device. */
export interface Pairs {
  readonly slice: (buffer: PoolBuffer) => BufferSlice;
  readonly given: (...values: number[]) => BufferSlice;
  readonly run: (x: BufferSlice, y: BufferSlice, factor: Scalar, shift?: Scalar) => void;
  readonly numbers: (from: BufferSlice) => Promise<number[]>;
}

export function pairsOn(gpu: Gpu): Pairs {
  const slice = (buffer: PoolBuffer): BufferSlice => ({ buffer, offset: 0, size: 8 });
  return {
    slice,
    given: (...values) => {
      const buffer = slice(gpu.take(8));
      gpu.write(buffer, Float32Array.from(values));
      return buffer;
    },
    run: (x, y, factor, shift = 0) => { gpu.dispatch(scale, { x, y }, { count: 2, factor, shift }, flatGrid(2, 64)); },
    numbers: async (from) => [...(await gpu.read(from, Float32Array))],
  };
}
