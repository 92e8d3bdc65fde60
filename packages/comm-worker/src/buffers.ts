/** Buffers that messages are put into, kept for the next: fresh memory costs more than the copy. */
export interface Buffers {
  /** At least `bytes` long. */
  take(bytes: number): ArrayBufferLike;
  give(buffer: ArrayBufferLike): void;
}

const KEPT_BYTES = 64 * 1_048_576;

export function createBuffers(make: (bytes: number) => ArrayBufferLike): Buffers {
  const free = new Map<number, ArrayBufferLike[]>();
  let kept = 0;
  return {
    take(bytes) {
      // Powers of two, so that pieces of nearly one size share buffers.
      const size = 2 ** Math.ceil(Math.log2(bytes));
      const buffer = free.get(size)?.pop();
      if (buffer === undefined) return make(size);
      kept -= size;
      return buffer;
    },
    give(buffer) {
      const size = buffer.byteLength;
      if (kept + size > KEPT_BYTES) return;
      kept += size;
      const list = free.get(size);
      if (list === undefined) free.set(size, [buffer]);
      else list.push(buffer);
    },
  };
}
