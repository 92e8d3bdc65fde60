import type { Kernel } from "@polyhead/gpu";

/** Kernels by structure, the most recently used of them. A device drops the pipeline of a kernel that nobody holds. */
export class KernelCache {
  /** Kernels that were built; one that was dropped counts again. */
  compiled = 0;
  /** Most kernels that are held. */
  readonly limit: number;
  // In the order of their last use.
  readonly #kernels = new Map<string, Kernel>();

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Kernels that are held. */
  get size(): number {
    return this.#kernels.size;
  }

  /** The kernel of a key, built where it is not held; the one whose use is longest ago makes room. */
  get(key: string, build: () => Kernel): Kernel {
    const held = this.#kernels.get(key);
    if (held !== undefined) {
      this.#kernels.delete(key);
      this.#kernels.set(key, held);
      return held;
    }
    const kernel = build();
    this.compiled++;
    this.#kernels.set(key, kernel);
    const [oldest] = this.#kernels.keys();
    if (this.#kernels.size > this.limit && oldest !== undefined) this.#kernels.delete(oldest);
    return kernel;
  }
}

/** What a program that changes its mask or hooks with every step may hold: some dozens of structures, four kernels each. */
export const kernelCache: KernelCache = new KernelCache(256);
