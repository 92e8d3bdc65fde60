import { adapterLimits, wantedFeatures } from "./caps.ts";
import { Gpu } from "./gpu.ts";
import type { GpuOptions } from "./options.ts";

/** Opens a device on `adapter`. In Node, `@polyhead/gpu-node` finds the adapter; in browsers, `navigator.gpu.requestAdapter()` does. */
export async function openGpu(adapter: GPUAdapter, options: GpuOptions = {}): Promise<Gpu> {
  const device = await adapter.requestDevice({
    requiredFeatures: options.features === "none" ? [] : wantedFeatures(adapter),
    requiredLimits: options.limits === "default" ? {} : adapterLimits(adapter),
  });
  return new Gpu(device, adapter.info, options);
}
