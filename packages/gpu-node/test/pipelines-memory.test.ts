import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, expect, it } from "vitest";
import { defineKernel, type Kernel } from "@polyhead/gpu";
import { openNodeGpu } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none" });
afterAll(() => { gpu.dispose(); });
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const kernel = (): Kernel<"x"> => defineKernel({ name: "one", bindings: { x: "write array<f32>" }, code: "@compute @workgroup_size(1) fn main() { x[0] = 1.0; }" });

it("a kernel that nobody holds any more takes its pipeline and its bind groups with it", async () => {
  const x = { buffer: gpu.take(256), offset: 0, size: 256 };
  const kept = kernel();
  const run = (one: Kernel<"x">): WeakRef<object> => {
    gpu.dispatch(one, { x }, {}, [1, 1, 1]);
    return new WeakRef(one);
  };
  const [dropped, held] = [run(kernel()), run(kept)];
  await gpu.read(x, Float32Array);
  for (let i = 0; i < 20 && dropped.deref() !== undefined; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    collect();
  }
  expect(dropped.deref()).toBeUndefined();
  expect(held.deref()).toBe(kept);
  const { pipelines, bindGroups } = gpu.stats;
  run(kept);
  expect(gpu.stats).toMatchObject({ pipelines, bindGroups });
});
