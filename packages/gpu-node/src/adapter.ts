import { GpuError } from "@polyhead/gpu";
import { embeddedFix, systemMayHaveGpu, withEmbeddedVulkan } from "./loader.ts";
import { unpackSwiftShader } from "./swiftshader.ts";

/** Which GPUs to look at. `system`: the system's, else the embedded software GPU. `embedded`: the software GPU alone. */
export type GpuPreference = "system" | "embedded";

export interface NodeAdapterOptions {
  /** Default: `POLYHEAD_GPU`, else `system`. `POLYHEAD_GPU=embedded` wins over this option. */
  readonly prefer?: GpuPreference;
  /** Is told, once a process, when the slow fallback was taken. Default: a line on stderr. */
  readonly onNotice?: (notice: string) => void;
}

export interface NodeAdapter {
  readonly adapter: GPUAdapter;
  readonly source: GpuPreference;
}

// Collecting a GPU takes its devices with it, and the next call on one of them is a segmentation fault.
const alive: GPU[] = [];
let noticed = false;
// Once Dawn has said that the system has no adapter it is not asked again: the loader that the embedded driver brought
// stays loaded, would be taken for the system's, and complains on stderr.
let systemHasNone = false;

const NOTICE =
  "polyhead: no GPU driver found, running on the embedded software GPU (SwiftShader). " +
  "Mesa's lavapipe, version 24 or newer, is four to five times faster: install your system's mesa-vulkan-drivers.";

function preference(options: NodeAdapterOptions): GpuPreference {
  const forced = process.env["POLYHEAD_GPU"];
  if (forced === undefined || forced === "") return options.prefer ?? "system";
  if (forced === "system" || forced === "embedded") return forced === "embedded" ? forced : (options.prefer ?? forced);
  throw new GpuError("GPU_NO_ADAPTER", `POLYHEAD_GPU is '${forced}'; it may be 'system' or 'embedded'`, "correct or unset POLYHEAD_GPU");
}

async function dawn(): Promise<typeof import("webgpu")> {
  try {
    const module = await import("webgpu");
    // In a browser GPUBufferUsage, GPUMapMode and the error classes are globals, and code that runs in both places names
    // them so. What is there already (a runtime with WebGPU of its own) stays.
    for (const [name, value] of Object.entries(module.globals)) if (!(name in globalThis)) Object.assign(globalThis, { [name]: value as unknown });
    return module;
  } catch (cause) {
    const what = `the 'webgpu' package does not load on ${process.platform}-${process.arch}: ${String(cause)}`;
    throw new GpuError("GPU_NO_ADAPTER", what, "use Linux with glibc, macOS or Windows on x64 or arm64, and install without --no-optional", { cause });
  }
}

// Timestamps are rounded to 100 µs in browsers, against timing attacks by pages; a profiler here has no use for that.
const TOGGLES = ["timestamp_quantization"];

// Workgroup memory starts as zeros. SwiftShader, asked to see to that by itself, compiles a store for every word of it, which is
// most of the time that a kernel with 16 KiB takes to compile; the loop that Dawn writes otherwise is compiled at once.
const EMBEDDED_TOGGLES = [...TOGGLES, "use_vulkan_zero_initialize_workgroup_memory_extension"];

/** Asks Dawn for an adapter and, if there is one, keeps its GPU for the life of the process. */
async function ask(disabled: readonly string[]): Promise<GPUAdapter | undefined> {
  const { create } = await dawn();
  const gpu = create([`disable-dawn-features=${disabled.join()}`]);
  // Kept even without an adapter: the request may still be settling inside Dawn.
  alive.push(gpu);
  return (await gpu.requestAdapter({ powerPreference: "high-performance" })) ?? undefined;
}

function notice(say: (notice: string) => void): void {
  if (noticed) return;
  noticed = true;
  say(NOTICE);
}

/**
 * An adapter in Node: the system's first, else SwiftShader, unpacked from `@sparticuz/chromium` into the user's cache.
 *
 * @throws GpuError `GPU_NO_ADAPTER`, with a way out for this platform, when there is neither.
 */
export async function openNodeAdapter(options: NodeAdapterOptions = {}): Promise<NodeAdapter> {
  const prefer = preference(options);
  if (prefer === "system" && !systemHasNone) {
    const adapter = systemMayHaveGpu() ? await ask(TOGGLES) : undefined;
    if (adapter !== undefined) return { adapter, source: "system" };
    systemHasNone = true;
  }
  const looked = prefer === "embedded" ? "" : "the system has no GPU driver, and ";
  const embedded = unpackSwiftShader();
  if (embedded === undefined) {
    const what = `${looked}the embedded software GPU is not installed on ${process.platform}-${process.arch}`;
    throw new GpuError("GPU_NO_ADAPTER", what, "install a GPU driver; on Linux x64, installing @sparticuz/chromium also helps");
  }
  const adapter = await withEmbeddedVulkan(embedded, () => ask(EMBEDDED_TOGGLES));
  if (adapter === undefined) {
    throw new GpuError("GPU_NO_ADAPTER", `${looked}the embedded software GPU at ${embedded.driver} gave no adapter`, embeddedFix(embedded.driver));
  }
  if (prefer === "system") notice(options.onNotice ?? ((text) => process.stderr.write(`${text}\n`)));
  return { adapter, source: "embedded" };
}
