import { expect, test } from "vitest";
import { defineKernel, openGpu, wgsl, type BufferSlice } from "../src/index.ts";

const COUNT = 100;

const triple = defineKernel({
  name: "triple",
  bindings: { x: "read array<f32>", y: "write array<f32>" },
  params: { n: "u32", by: "f32" },
  code: wgsl`@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < params.n) { y[id.x] = params.by * x[id.x]; }
  }`,
});

test("the same kernel that runs in Node runs in a browser", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  expect(adapter).not.toBeNull();
  const gpu = await openGpu(adapter!, { poison: true });
  const bytes = COUNT * 4;
  const x = { buffer: gpu.take(bytes), offset: 0, size: bytes };
  const y = { buffer: gpu.take(bytes), offset: 0, size: bytes };
  gpu.write(x, Float32Array.from({ length: COUNT }, (_, i) => i));
  gpu.dispatch(triple, { x, y }, { n: COUNT, by: 3 }, [2]);
  expect([...(await gpu.read(y, Float32Array))]).toEqual(Array.from({ length: COUNT }, (_, i) => 3 * i));
  await gpu.settled();
  gpu.dispose();
});

test("a recording is replayed in a browser, with numbers of its own time", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const gpu = await openGpu(adapter!, { poison: true });
  const slice = (): BufferSlice => ({ buffer: gpu.take(COUNT * 4), offset: 0, size: COUNT * 4 });
  const [x, y] = [slice(), slice()];
  gpu.write(x, new Float32Array(COUNT).fill(1));
  const by = { value: 2 };
  const recording = gpu.record(() => {
    gpu.dispatch(triple, { x, y }, { n: COUNT, by }, [2]);
    gpu.copy(y, x, COUNT * 4);
  });
  for (by.value = 3; by.value <= 5; by.value++) recording.replay();
  expect(new Set(await gpu.read(x, Float32Array))).toEqual(new Set([2 * 3 * 4 * 5]));
  recording.dispose();
  await gpu.settled();
  gpu.dispose();
});
