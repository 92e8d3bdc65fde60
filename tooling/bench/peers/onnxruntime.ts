import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import type * as Ort from "onnxruntime-common";

export type OrtModule = typeof Ort;

const workspace = new URL("../onnx/", import.meta.url);
let installed = false;

/** Whether its workspace has been installed; nothing is fetched to find out. */
export const onnxInstalled = (): boolean => existsSync(new URL("node_modules/onnxruntime-node/package.json", workspace));

/** Where a file of these packages lies. They are installed when they are first looked for, since they weigh 400 MB. */
function locate(specifier: string): string {
  const { resolve } = createRequire(new URL("package.json", workspace));
  if (!installed && !onnxInstalled()) {
    process.stderr.write("# installing onnxruntime\n");
    const runner = fileURLToPath(new URL("../../run.mjs", import.meta.url));
    const { status } = spawnSync(process.execPath, [runner, "peers"], { stdio: ["ignore", 2, 2] });
    if (status !== 0) throw new Error("onnxruntime could not be installed");
  }
  installed = true;
  return resolve(specifier);
}

let web: Promise<OrtModule> | undefined;

/** onnxruntime-web with its WebGPU execution provider. Its WebAssembly has to be handed over in Node, where it would fetch it. */
export function loadOrtWeb(): Promise<OrtModule> {
  return (web ??= (async () => {
    const script = locate("onnxruntime-web/webgpu").replace(/ort\.webgpu\.min\.js$/, "ort.webgpu.bundle.min.mjs");
    const ort = (await import(pathToFileURL(script).href)) as OrtModule;
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "error";
    ort.env.wasm.wasmBinary = Uint8Array.from(readFileSync(script.replace("ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"))).buffer;
    return ort;
  })());
}

/** onnxruntime-node, of which the bench uses the CPU code. */
export async function loadOrtNode(): Promise<OrtModule> {
  const loaded = (await import(pathToFileURL(locate("onnxruntime-node")).href)) as OrtModule & { default?: OrtModule };
  return loaded.default ?? loaded;
}

const devices = new Map<boolean, Promise<GPUDevice>>();

/** A device as onnxruntime-web would ask for, with or without subgroups. */
export function ortDevice(subgroups: boolean): Promise<GPUDevice> {
  const found = devices.get(subgroups) ?? openDevice(subgroups);
  devices.set(subgroups, found);
  return found;
}

async function openDevice(subgroups: boolean): Promise<GPUDevice> {
  const adapter = await navigator.gpu.requestAdapter();
  if (adapter === null) throw new Error("no adapter");
  const { limits } = adapter;
  const features: GPUFeatureName[] = [...(subgroups ? (["subgroups"] as const) : []), "shader-f16", "timestamp-query"];
  const missing = subgroups && !adapter.features.has("subgroups");
  if (missing) throw new Error("this adapter has no subgroups");
  return adapter.requestDevice({
    requiredFeatures: features.filter((feature) => adapter.features.has(feature)),
    requiredLimits: {
      maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
      maxBufferSize: limits.maxBufferSize,
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      maxComputeWorkgroupSizeY: limits.maxComputeWorkgroupSizeY,
      maxComputeWorkgroupSizeZ: limits.maxComputeWorkgroupSizeZ,
      maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
      maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
    },
  });
}
