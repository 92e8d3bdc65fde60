import { constants } from "node:os";
import { isMainThread } from "node:worker_threads";
import type { EmbeddedVulkan } from "./swiftshader.ts";

/** glibc's flag, which Node does not name: the library stays loaded after Node closes it. */
const RTLD_NODELETE = 0x1000;

function dlopen(file: string, flags: number): string {
  try {
    process.dlopen({ exports: {} }, file, flags);
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Whether the system has a Vulkan loader at all. Asked before Dawn is, which answers the same question with a warning on
 * stderr. Other systems than Linux do not need Vulkan.
 */
export function systemMayHaveGpu(): boolean {
  return process.platform !== "linux" || !dlopen("libvulkan.so.1", constants.dlopen.RTLD_LAZY).includes("cannot open shared object file");
}

/**
 * Runs `ask` with the embedded Vulkan as the process's only driver.
 *
 * The loader reads `VK_DRIVER_FILES` when Dawn enumerates adapters and never again, so the variable is put back after
 * `ask`: child processes must not inherit our choice and take it for the system's.
 */
export async function withEmbeddedVulkan<T>({ loader, driver }: EmbeddedVulkan, ask: () => Promise<T>): Promise<T> {
  const before = process.env["VK_DRIVER_FILES"];
  // In a worker thread this changes a copy that getenv() never sees; there, only a variable set from outside helps.
  process.env["VK_DRIVER_FILES"] = driver;
  // Always reports "did not self-register", since the loader is no Node addon; it is loaded all the same, and Dawn's own
  // dlopen of the same library name then finds it.
  dlopen(loader, constants.dlopen.RTLD_NOW | RTLD_NODELETE);
  try {
    return await ask();
  } finally {
    if (before === undefined) delete process.env["VK_DRIVER_FILES"];
    else process.env["VK_DRIVER_FILES"] = before;
  }
}

/** What to tell a caller for whom the embedded driver gave no adapter. */
export const embeddedFix = (driver: string): string =>
  isMainThread
    ? "install a Vulkan driver (Debian, Ubuntu: the package mesa-vulkan-drivers)"
    : `open the GPU in the main thread, or start the process with VK_DRIVER_FILES=${driver}`;
