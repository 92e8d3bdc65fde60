import { openNodeAdapter } from "@polyhead/gpu-node";

/**
 * Lets browser libraries find our adapter: `navigator.gpu.requestAdapter()` answers with what `openNodeAdapter` opens,
 * so that all contenders run on one driver. An adapter can give one device only, hence a new one for each request.
 */
export function shareAdapter(): void {
  const requestAdapter = async (): Promise<GPUAdapter> => (await openNodeAdapter()).adapter;
  Object.defineProperty(globalThis.navigator, "gpu", { value: { requestAdapter }, configurable: true });
}

/** The adapter in words, as it is printed beside every number. */
export async function adapterName(): Promise<string> {
  const { adapter, source } = await openNodeAdapter();
  const { description, vendor, architecture } = adapter.info;
  const name = [description, vendor, architecture].find((part) => part !== "") ?? "unnamed adapter";
  return source === "embedded" ? `${name} (embedded)` : name;
}
