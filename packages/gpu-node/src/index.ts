export { openNodeAdapter, type GpuPreference, type NodeAdapter, type NodeAdapterOptions } from "./adapter.ts";
export { giveWay } from "./give-way.ts";
export { openNodeGpu, type NodeGpuOptions } from "./open.ts";
export { cacheFolder, unpackSwiftShader, type EmbeddedVulkan } from "./swiftshader.ts";
export { openTuneStore, tuneModeFromEnv, tuneOnDisk } from "./tune-store.ts";
