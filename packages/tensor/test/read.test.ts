import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, expect, it } from "vitest";
import { createEngine } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

it("reads what stands there when it is called, whatever is written while it waits", async () => {
  const x = engine.tensor([1, 2], [2]);
  const first = x.read();
  engine.upload(x, Float32Array.of(3, 4));
  const second = x.read();
  expect([await first, await second]).toEqual([Float32Array.of(1, 2), Float32Array.of(3, 4)]);
});
