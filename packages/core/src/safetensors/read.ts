import type { ByteSource } from "./byte-source.ts";
import { endOfHeader, find, LENGTH_BYTES, readHeader, type TensorEntry } from "./header.ts";
import { storedTensor, type StoredTensor } from "./stored-tensor.ts";

/** A parsed safetensors file. */
export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly names: readonly string[];
  has(name: string): boolean;
  /** @throws PolyheadError `SAFETENSORS_MISSING` */
  get(name: string): StoredTensor;
}

/** A safetensors file of which only the header has been read. */
export interface RangedSafetensors {
  readonly label: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly names: readonly string[];
  has(name: string): boolean;
  /** What the header says of a tensor. @throws PolyheadError `SAFETENSORS_MISSING` */
  entry(name: string): TensorEntry;
  /** Fetches one tensor's bytes. @throws PolyheadError `SAFETENSORS_MISSING`, and what the source throws. */
  read(name: string): Promise<StoredTensor>;
}

/**
 * Reads a safetensors file: u64 header length, JSON header, raw tensors. Everything the header claims is checked: tensors own
 * every byte of the data, and none of them twice. `label` names the file in errors.
 *
 * @throws PolyheadError `SAFETENSORS_TRUNCATED`, `SAFETENSORS_HEADER`, `SAFETENSORS_DTYPE` or `SAFETENSORS_BOUNDS`
 */
export function readSafetensors(file: Uint8Array, label = "the file"): Safetensors {
  const end = endOfHeader(file, file.byteLength, label);
  const { metadata, entries } = readHeader(file.subarray(LENGTH_BYTES, end), file.byteLength, label);
  return Object.freeze({
    metadata,
    names: Object.freeze([...entries.keys()]),
    has: (name: string) => entries.has(name),
    get: (name: string) => {
      const entry = find(entries, name, label);
      return storedTensor(entry, file.subarray(entry.begin, entry.end));
    },
  });
}

/**
 * Opens a safetensors file by its header alone; tensors are fetched when asked for. The checks are those of {@link readSafetensors}.
 *
 * @throws PolyheadError as `readSafetensors`, and what the source throws.
 */
export async function openSafetensors(source: ByteSource): Promise<RangedSafetensors> {
  const { label, size } = source;
  const end = endOfHeader(size < LENGTH_BYTES ? new Uint8Array(LENGTH_BYTES) : await source.read(0, LENGTH_BYTES), size, label);
  const { metadata, entries } = readHeader(await source.read(LENGTH_BYTES, end), size, label);
  const entry = (name: string): TensorEntry => find(entries, name, label);
  return Object.freeze({
    label,
    metadata,
    names: Object.freeze([...entries.keys()]),
    has: (name: string) => entries.has(name),
    entry,
    read: async (name: string) => {
      const wanted = entry(name);
      return storedTensor(wanted, wanted.size === 0 ? new Uint8Array(0) : await source.read(wanted.begin, wanted.end));
    },
  });
}
