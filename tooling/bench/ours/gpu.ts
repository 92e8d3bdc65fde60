import type { Gpu } from "@polyhead/gpu";
import { openNodeGpu, tuneOnDisk } from "@polyhead/gpu-node";
import { allWaitAlike } from "../adapter.ts";

let opened: Promise<Gpu> | undefined;

/** The one device that our contenders and the yardsticks share. */
export function ourGpu(): Promise<Gpu> {
  return (opened ??= open());
}

/** Tuned as `POLYHEAD_TUNE` says: `force` measures anew. */
async function open(): Promise<Gpu> {
  // Where all wait alike, every wait sleeps already.
  const gpu = await openNodeGpu(allWaitAlike() ? { onWait: () => () => undefined } : {});
  tuneOnDisk(gpu);
  return gpu;
}
