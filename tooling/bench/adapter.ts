import { isSoftwareAdapter } from "@polyhead/gpu";
import { giveWay, openNodeAdapter } from "@polyhead/gpu-node";

/**
 * Lets browser libraries find our adapter: `navigator.gpu.requestAdapter()` answers with what `openNodeAdapter` opens,
 * so that all contenders run on one driver. An adapter can give one device only, hence a new one for each request.
 */
export function shareAdapter(): void {
  const requestAdapter = async (): Promise<GPUAdapter> => quiet((await openNodeAdapter()).adapter);
  Object.defineProperty(globalThis.navigator, "gpu", { value: { requestAdapter }, configurable: true });
}

/**
 * Dawn in Node prints every error that nobody catches to stdout, amid our lines, and a peer that asks for too large a binding
 * makes hundreds. So each device has scopes that catch them for good; what they mean for the output is ours to check.
 */
function quiet(adapter: GPUAdapter): GPUAdapter {
  const requestDevice = adapter.requestDevice.bind(adapter);
  const quietly = async (descriptor?: GPUDeviceDescriptor): Promise<GPUDevice> => {
    const device = await requestDevice(descriptor);
    for (const kind of ["internal", "out-of-memory", "validation"] as const) device.pushErrorScope(kind);
    return device;
  };
  Object.defineProperty(adapter, "requestDevice", { value: quietly });
  return adapter;
}

let alike = false;

/** Whether peers wait as our devices do: see `waitAlike`. */
export const allWaitAlike = (): boolean => alike;

/**
 * Lets every contender wait alike. While a promise of the device is pending, the `webgpu` package asks for news in every turn
 * of the event loop, which takes one core away from a software GPU. Our devices sleep between turns (docs/decisions/waiting.md);
 * after this the peers' do too, which shows how much of a difference is that alone. Other adapters do not mind, and nothing is done.
 */
export async function waitAlike(): Promise<void> {
  const { adapter } = await openNodeAdapter();
  if (!isSoftwareAdapter(adapter.info)) return;
  waiting(GPUBuffer.prototype, "mapAsync");
  waiting(GPUQueue.prototype, "onSubmittedWorkDone");
  alike = true;
}

function waiting<K extends string>(prototype: Record<K, (...given: never[]) => Promise<undefined>>, method: K): void {
  const original = prototype[method];
  prototype[method] = function (this: unknown, ...given: never[]): Promise<undefined> {
    const done = giveWay();
    return original.apply(this, given).finally(done);
  };
}

/** The adapter in words, as it is printed beside every number. */
export async function adapterName(): Promise<string> {
  const { adapter, source } = await openNodeAdapter();
  const { description, vendor, architecture } = adapter.info;
  const name = [description, vendor, architecture].find((part) => part !== "") ?? "unnamed adapter";
  return source === "embedded" ? `${name} (embedded)` : name;
}
