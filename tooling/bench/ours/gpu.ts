import type { Gpu } from "@polyhead/gpu";
import { openNodeGpu, tuneOnDisk } from "@polyhead/gpu-node";

let opened: Promise<Gpu> | undefined;

/** The one device that our contenders and the yardsticks share. It waits as the peers' do: see `waitAlike`. */
export function ourGpu(): Promise<Gpu> {
  return (opened ??= open());
}

/** Tuned as `POLYHEAD_TUNE` says: `force` measures anew. */
async function open(): Promise<Gpu> {
  const gpu = await openNodeGpu({ onWait: () => () => undefined });
  tuneOnDisk(gpu);
  return gpu;
}
