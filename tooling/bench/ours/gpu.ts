import type { Gpu } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";

let opened: Promise<Gpu> | undefined;

/** The one device that our contenders and the ceiling share. */
export function ourGpu(): Promise<Gpu> {
  return (opened ??= openNodeGpu());
}
