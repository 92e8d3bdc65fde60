import { isSoftwareAdapter, openGpu, type Gpu, type GpuOptions } from "@polyhead/gpu";
import { giveWay } from "./give-way.ts";
import { openNodeAdapter, type NodeAdapterOptions } from "./adapter.ts";

export type NodeGpuOptions = NodeAdapterOptions & GpuOptions;

/**
 * Opens a GPU in Node: the system's, else the embedded software one.
 *
 * @throws GpuError `GPU_NO_ADAPTER` when there is neither, and what `openGpu` throws.
 */
export async function openNodeGpu(options: NodeGpuOptions = {}): Promise<Gpu> {
  const { prefer: _prefer, onNotice: _onNotice, ...device } = options;
  const { adapter } = await openNodeAdapter(options);
  return openGpu(adapter, { ...(isSoftwareAdapter(adapter.info) && { onWait: giveWay }), ...device });
}
