import type { Gpu, PoolBuffer } from "@polyhead/gpu";

/**
 * Memory shared by a tensor and its views, counted by reference: one for every live handle, one for every tape node that
 * saved it. The buffer returns to the pool when the last goes.
 */
export class Storage {
  readonly buffer: PoolBuffer;
  readonly #gpu: Gpu;
  #references = 1;

  constructor(gpu: Gpu, bytes: number) {
    this.#gpu = gpu;
    this.buffer = gpu.take(bytes);
  }

  get references(): number {
    return this.#references;
  }

  retain(): this {
    this.#references++;
    return this;
  }

  release(): void {
    this.#references--;
    if (this.#references === 0) this.#gpu.give(this.buffer);
  }
}
