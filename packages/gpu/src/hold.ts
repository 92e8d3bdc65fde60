import type { PoolBuffer } from "./pool.ts";

/**
 * The memory of one recording: buffers that its dispatches touch, kept from everybody else until `release`. Those that were
 * taken while it was made are its own, and go round inside of it as they would in the pool.
 */
export class BufferHold {
  readonly #held = new Set<PoolBuffer>();
  readonly #own = new Set<PoolBuffer>();
  readonly #free = new Map<number, PoolBuffer[]>();

  get held(): ReadonlySet<PoolBuffer> {
    return this.#held;
  }

  /** Bytes of the buffers that were taken while recording. */
  get ownBytes(): number {
    let sum = 0;
    for (const { bytes } of this.#own) sum += bytes;
    return sum;
  }

  has(buffer: PoolBuffer): boolean {
    return this.#held.has(buffer);
  }

  /** True where the buffer was not held before. */
  add(buffer: PoolBuffer, own: boolean): boolean {
    if (own) this.#own.add(buffer);
    const before = this.#held.size;
    return this.#held.add(buffer).size > before;
  }

  /** A buffer of its own that nobody uses at this point of the recording. */
  takeAgain(bytes: number): PoolBuffer | undefined {
    return this.#free.get(bytes)?.pop();
  }

  /** Takes note of a buffer that its user gave back. Others' are kept, but not reused: a replay reads them again. */
  giveBack(buffer: PoolBuffer): void {
    if (!this.#own.has(buffer)) return;
    let free = this.#free.get(buffer.bytes);
    if (free === undefined) this.#free.set(buffer.bytes, (free = []));
    insertById(free, buffer);
  }

  clear(): void {
    this.#held.clear();
    this.#own.clear();
    this.#free.clear();
  }
}

/** Keeps a free list in falling order of ids, so that `pop` gives the lowest. */
export function insertById(free: PoolBuffer[], buffer: PoolBuffer): void {
  let at = free.length;
  while (at > 0 && free[at - 1]!.id < buffer.id) at--;
  free.splice(at, 0, buffer);
}
