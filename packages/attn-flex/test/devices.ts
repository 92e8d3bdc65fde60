import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Engine } from "@polyhead/tensor";
import { afterAll } from "vitest";

/** An engine on the least that WebGPU guarantees, its pool poisoned. */
export async function poisoned(): Promise<Engine> {
  const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
  afterAll(() => { gpu.dispose(); });
  return createEngine(gpu);
}
