import { expect, it } from "vitest";
import { defineKernel, wgsl } from "@polyhead/gpu";
import { openNodeGpu } from "../src/index.ts";

/** Words of workgroup memory: all that WebGPU guarantees. */
const WORDS = 4096;
const GROUPS = 64;

/** Shows what was there, and leaves sevens for the next workgroup. */
const look = defineKernel({
  name: "look",
  bindings: { y: "write array<u32>" },
  code: wgsl`
var<workgroup> words: array<u32, ${WORDS}>;
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < ${WORDS}u; i += 64u) {
    y[group.x * ${WORDS}u + i] = words[i];
    words[i] = 7u;
  }
}`,
});

it("memory of a workgroup starts as zeros, whatever the one before left there", async () => {
  const gpu = await openNodeGpu({ limits: "default", features: "none" });
  const size = GROUPS * WORDS * 4;
  const y = { buffer: gpu.take(size), offset: 0, size };
  gpu.dispatch(look, { y }, {}, [GROUPS, 1, 1]);
  expect(new Set(await gpu.read(y, Uint32Array))).toEqual(new Set([0]));
  gpu.dispose();
});
