/** What a device can do, in the terms that kernels ask about. */
export interface GpuCaps {
  readonly f16: boolean;
  readonly subgroups: boolean;
  /** The one size that every subgroup has; 0 when the device does not promise one. Never derive it from a builtin. */
  readonly subgroupSize: number;
  readonly timestamps: boolean;
  readonly storageBuffers: number;
  readonly workgroupBytes: number;
  readonly invocations: number;
  readonly workgroupSizeX: number;
  readonly maxBindingBytes: number;
  readonly maxBufferBytes: number;
}

/** Who the adapter is. `key` is stable across runs and names it in caches. */
export interface GpuInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly key: string;
  /** It runs on the CPU: barriers are dear, subgroups narrow, and its threads want the cores that waiting would keep busy. */
  readonly software: boolean;
}

const WANTED: readonly GPUFeatureName[] = ["timestamp-query", "subgroups", "shader-f16"];

export const wantedFeatures = (adapter: GPUAdapter): GPUFeatureName[] =>
  WANTED.filter((name) => adapter.features.has(name));

/** The limits that kernels may lean on, as far as the adapter goes. */
export function adapterLimits(adapter: GPUAdapter): Record<string, number> {
  const { limits } = adapter;
  return {
    maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
    maxBufferSize: limits.maxBufferSize,
    maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    maxComputeWorkgroupSizeY: limits.maxComputeWorkgroupSizeY,
    maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
  };
}

export function readCaps(device: GPUDevice, info: GPUAdapterInfo): GpuCaps {
  const { features, limits } = device;
  const subgroups = features.has("subgroups");
  const { subgroupMinSize: min, subgroupMaxSize: max } = info;
  return Object.freeze({
    f16: features.has("shader-f16"),
    subgroups,
    subgroupSize: subgroups && min > 0 && min === max ? min : 0,
    timestamps: features.has("timestamp-query"),
    storageBuffers: limits.maxStorageBuffersPerShaderStage,
    workgroupBytes: limits.maxComputeWorkgroupStorageSize,
    invocations: limits.maxComputeInvocationsPerWorkgroup,
    workgroupSizeX: limits.maxComputeWorkgroupSizeX,
    maxBindingBytes: limits.maxStorageBufferBindingSize,
    maxBufferBytes: limits.maxBufferSize,
  });
}

export const isSoftwareAdapter = ({ description, device, architecture }: GPUAdapterInfo): boolean => /llvmpipe|lavapipe|swiftshader/i.test(`${description} ${device} ${architecture}`);

export function readInfo(info: GPUAdapterInfo): GpuInfo {
  const { vendor, architecture, device, description } = info;
  return Object.freeze({ vendor, architecture, device, description, key: [vendor, architecture, device, description].filter(Boolean).join("/"), software: isSoftwareAdapter(info) });
}
