import type { GpuCaps } from "./caps.ts";
import type { Gpu } from "./gpu.ts";

const devices = new WeakMap<object, Gpu>();

/** The device that these very capabilities were read from: for whoever is told what a device can do, and knows what it did. */
export const deviceOf = (caps: object): Gpu | undefined => devices.get(caps);

export function rememberDevice(caps: GpuCaps, gpu: Gpu): void {
  devices.set(caps, gpu);
}
