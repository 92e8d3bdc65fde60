import { defineKernel, type Gpu } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { expect, test } from "vitest";
import { expectUnpoisoned, onFreshGpu } from "../src/index.ts";

const COUNT = 16;
const kernel = (name: string, write: string) => defineKernel({
  name,
  bindings: { y: "write array<f32>" },
  params: { n: "u32" },
  code: `@compute @workgroup_size(${COUNT}) fn main(@builtin(local_invocation_index) i: u32) { if (i < params.n) { ${write} } }`,
});
const writes = kernel("writes all", "y[i] = f32(i);");
const forgets = kernel("forgets one", "if (i != 5u) { y[i] = f32(i); }");

const running = (which: typeof writes) => async (gpu: Gpu) => {
  const buffer = gpu.take(COUNT * 4);
  const y = { buffer, offset: 0, size: COUNT * 4 };
  gpu.dispatch(which, { y }, { n: COUNT }, [1]);
  return { y: await gpu.read(y, Float32Array) };
};

test("a kernel that writes all it should gives the same with a poisoned pool", async () => {
  const { y } = await expectUnpoisoned(openNodeGpu, running(writes));
  expect([...y]).toEqual(Array.from({ length: COUNT }, (_, i) => i));
});

test("an entry that nobody wrote is found", async () => {
  await expect(expectUnpoisoned(openNodeGpu, running(forgets))).rejects.toThrow(/\[POISON_READ\] 'y' depends on memory that nobody wrote: .*1 of 16 differ, worst at \[5\]: got NaN/s);
});

test("a fresh device goes away with its work, also when the work fails", async () => {
  let kept: Gpu | undefined;
  await expect(onFreshGpu(openNodeGpu, {}, (gpu) => { kept = gpu; return Promise.reject(new Error("no")); })).rejects.toThrow("no");
  expect(() => { kept!.dispatch(writes, { y: { buffer: kept!.take(64), offset: 0, size: 64 } }, { n: 1 }, [1]); kept!.flush(); }).toThrow(/GPU_DISPOSED/);
});
