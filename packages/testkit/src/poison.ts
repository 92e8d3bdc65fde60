import { PolyheadError } from "@polyhead/core";
import type { Gpu, GpuOptions } from "@polyhead/gpu";
import { compare, EXACT, report } from "./compare.ts";

/** Opens a device with the options given: `openNodeGpu` in Node, an adapter and `openGpu` in browsers. */
export type OpenGpu = (options: GpuOptions) => Promise<Gpu>;

/** Named results of a computation. */
export type Results = Readonly<Record<string, ArrayLike<number>>>;

/**
 * Runs `work` on a fresh device and disposes of it, whatever happens. Errors that the device reports late are thrown.
 */
export async function onFreshGpu<T>(open: OpenGpu, options: GpuOptions, work: (gpu: Gpu) => Promise<T>): Promise<T> {
  const gpu = await open(options);
  try {
    const result = await work(gpu);
    await gpu.settled();
    return result;
  } finally {
    gpu.dispose();
  }
}

/**
 * Runs `work` twice on fresh devices: with buffers as the pool gives them, and with every buffer filled with NaN first. Both
 * must give the same bits; otherwise something reads memory that nobody wrote.
 *
 * @returns the results.
 * @throws PolyheadError `POISON_READ`, naming the result and its worst entry.
 */
export async function expectUnpoisoned<R extends Results>(open: OpenGpu, work: (gpu: Gpu) => Promise<R>, options: GpuOptions = {}): Promise<R> {
  const clean = await onFreshGpu(open, { ...options, poison: false }, work);
  const poisoned = await onFreshGpu(open, { ...options, poison: true }, work);
  for (const [name, want] of Object.entries(clean)) {
    const got = poisoned[name] ?? [];
    const found = compare(got, want, EXACT);
    if (!found.pass) {
      throw new PolyheadError("POISON_READ", `'${name}' depends on memory that nobody wrote: with a poisoned pool ${report(found, want.length)}`, "look for an output the kernel leaves out, or an input it reads past the end of");
    }
  }
  return clean;
}
