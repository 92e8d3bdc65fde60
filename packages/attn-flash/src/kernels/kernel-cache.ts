import { Bounded, type Kernel } from "@polyhead/gpu";

/** Kernels by structure, the most recently used of them. A device drops the pipeline of a kernel that nobody holds. */
export class KernelCache {
  /** Kernels that were built; one that was dropped counts again. */
  compiled = 0;
  /** Most kernels that are held. */
  readonly limit: number;
  readonly #kernels: Bounded<string, Kernel>;

  constructor(limit: number) {
    this.limit = limit;
    this.#kernels = new Bounded(limit);
  }

  /** Kernels that are held. */
  get size(): number {
    return this.#kernels.size;
  }

  /** The kernel of a key, built where it is not held; the one whose use is longest ago makes room. */
  get(key: string, build: () => Kernel): Kernel {
    return this.#kernels.get(key, () => {
      const kernel = build();
      this.compiled++;
      return kernel;
    });
  }
}

/** What a program that changes its mask or hooks with every step may hold: some dozens of structures, four kernels each. */
export const kernelCache: KernelCache = new KernelCache(256);
