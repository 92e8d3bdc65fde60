import { isPolyheadError, PolyheadError } from "@polyhead/core";
import type { ByteSource } from "@polyhead/core/safetensors";

/** A folder of files that are read by range: on a disk, a server or in memory. Names are relative, with '/'. */
export interface FileSource {
  /** Names the folder in errors. */
  readonly label: string;
  has(name: string): Promise<boolean>;
  /** Length in bytes. @throws PolyheadError `SOURCE_MISSING` */
  size(name: string): Promise<number>;
  /** Bytes `begin` up to `end`, all of them. @throws PolyheadError `SOURCE_MISSING`, `SOURCE_READ` */
  read(name: string, begin: number, end: number): Promise<Uint8Array>;
  /** The names of the files at the top, where the source can tell. */
  list?(): Promise<readonly string[]>;
}

/** @throws PolyheadError `SOURCE_MISSING`, always. */
export function missingFile(label: string, name: string): PolyheadError {
  return new PolyheadError("SOURCE_MISSING", `${label} has no file '${name}'`, "check the path or id, and that the download is complete");
}

/** A file could not be read, for a reason of the machine or the network; what has a reason of ours keeps it. */
export function unreadable(label: string, name: string, cause: unknown): Error {
  if (isPolyheadError(cause)) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PolyheadError("SOURCE_READ", `cannot read '${name}' of ${label}: ${reason}`, "try again; if it stays so, check the file, the network and the access token");
}

/** Bytes that should be `end - begin` of them. @throws PolyheadError `SOURCE_READ` */
export function whole(bytes: Uint8Array, label: string, name: string, begin: number, end: number): Uint8Array {
  if (bytes.byteLength === end - begin) return bytes;
  throw unreadable(label, name, `bytes ${begin} to ${end} were asked for, ${bytes.byteLength} came`);
}

/** One file of a source. @throws PolyheadError `SOURCE_MISSING` */
export async function fileOf(source: FileSource, name: string): Promise<ByteSource> {
  const size = await source.size(name);
  return { label: `${source.label}/${name}`, size, read: (begin, end) => source.read(name, begin, end) };
}

/**
 * A file as text.
 *
 * @param limit  bytes at most: a file that should be small and is not is refused unread
 * @throws PolyheadError `SOURCE_MISSING`, `SOURCE_READ`, `SOURCE_SIZE`, `SOURCE_TEXT` when it is not UTF-8
 */
export async function readText(source: FileSource, name: string, limit: number): Promise<string> {
  const size = await source.size(name);
  if (size > limit) throw new PolyheadError("SOURCE_SIZE", `'${name}' of ${source.label} has ${size} bytes; at most ${limit} are read`, "check that it is the file it is called after");
  const bytes = size === 0 ? new Uint8Array(0) : await source.read(name, 0, size);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new PolyheadError("SOURCE_TEXT", `'${name}' of ${source.label} is not text in UTF-8`, "download the file again");
  }
}

/** Files that lie in memory, or that a browser's user has chosen: by name. */
export function memorySource(files: Readonly<Record<string, Uint8Array | Blob | string>>, label = "memory"): FileSource {
  const all = new Map(Object.entries(files).map(([name, file]) => [name, typeof file === "string" ? new TextEncoder().encode(file) : file]));
  const get = (name: string): Uint8Array | Blob => {
    const file = all.get(name);
    if (file === undefined) throw missingFile(label, name);
    return file;
  };
  return {
    label,
    has: (name) => Promise.resolve(all.has(name)),
    // Async, so that what `get` throws is a rejection.
    size: async (name) => {
      const file = get(name);
      return Promise.resolve(file instanceof Uint8Array ? file.byteLength : file.size);
    },
    read: async (name, begin, end) => {
      const file = get(name);
      const bytes = file instanceof Uint8Array ? file.subarray(begin, end) : new Uint8Array(await file.slice(begin, end).arrayBuffer());
      return whole(bytes, label, name, begin, end);
    },
    list: () => Promise.resolve([...all.keys()]),
  };
}
