const BLOCK = 512;

export interface TarEntry {
  readonly name: string;
  readonly data: Buffer;
}

const text = (tar: Buffer, at: number, length: number): string => tar.toString("latin1", at, at + length).replace(/\0.*$/s, "");

/**
 * The entries of a ustar archive, without copying: each `data` is a view of `tar`. Enough for archives whose names are
 * shorter than 100 bytes; links and extended headers are passed through as entries with their raw name.
 *
 * @throws RangeError when the archive ends in the middle of an entry.
 */
export function* untar(tar: Buffer): Generator<TarEntry> {
  for (let at = 0; at + BLOCK <= tar.length; ) {
    const name = text(tar, at, 100);
    if (name === "") return;
    const size = Number.parseInt(text(tar, at + 124, 12), 8) || 0;
    const start = at + BLOCK;
    if (start + size > tar.length) throw new RangeError(`tar entry '${name}' needs ${size} bytes, ${tar.length - start} are left`);
    yield { name, data: tar.subarray(start, start + size) };
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
}
