import { PolyheadError } from "../errors.ts";
import { BYTES, isStoredDtype, READ, WRITE, type StoredDtype } from "./dtypes.ts";

/** One tensor of a file. Values are converted when asked for, each time anew. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly size: number;
  /** The raw little-endian bytes, a view of the file. */
  readonly bytes: Uint8Array;
  /** Every value as a double: exact for all types but 64-bit integers beyond 2^53, which throw. */
  numbers(): Float64Array;
  /** Every value rounded to f32, as kernels take it. */
  floats(): Float32Array;
}

/** A parsed safetensors file. */
export interface Safetensors {
  readonly metadata: Readonly<Record<string, string>>;
  readonly names: readonly string[];
  has(name: string): boolean;
  /** @throws PolyheadError `SAFETENSORS_MISSING` */
  get(name: string): StoredTensor;
}

/** What `writeSafetensors` takes: values in row-major order, stored as `dtype`. */
export interface TensorToStore {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** The format's own bound on its JSON header, in bytes: no honest file comes near, and a hostile one cannot make us parse more. */
const MAX_HEADER_BYTES = 100_000_000;
const product = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);
const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

function broken(code: string, message: string): PolyheadError {
  return new PolyheadError(code, message, "write or download the file again; it was cut short or is not a safetensors file");
}

function readHeader(file: Uint8Array, label: string): { header: Record<string, unknown>; data: Uint8Array } {
  if (file.byteLength < 8) throw broken("SAFETENSORS_TRUNCATED", `${label} has ${file.byteLength} bytes; a header length takes 8`);
  const length = new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) throw broken("SAFETENSORS_HEADER", `${label} claims a header of ${length.toString()} bytes; at most ${MAX_HEADER_BYTES} are allowed`);
  const end = 8 + Number(length);
  if (end > file.byteLength) throw broken("SAFETENSORS_TRUNCATED", `${label} has ${file.byteLength} bytes; its header alone ends at ${end}`);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(file.subarray(8, end)));
  } catch (error) {
    throw broken("SAFETENSORS_HEADER", `the header of ${label} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isRecord(header)) throw broken("SAFETENSORS_HEADER", `the header of ${label} is ${JSON.stringify(header).slice(0, 40)}; it must be an object`);
  return { header, data: file.subarray(end) };
}

function readEntry(name: string, entry: unknown, data: Uint8Array, label: string): { tensor: StoredTensor; begin: number; end: number } {
  const where = `tensor '${name}' of ${label}`;
  if (!isRecord(entry)) throw broken("SAFETENSORS_HEADER", `${where} is described by ${JSON.stringify(entry)}; it must be an object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isStoredDtype(dtype)) throw broken("SAFETENSORS_DTYPE", `${where} has dtype ${JSON.stringify(dtype)}; known are ${Object.keys(BYTES).join(", ")}`);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw broken("SAFETENSORS_HEADER", `${where} has shape ${JSON.stringify(shape)}; it must list sizes`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw broken("SAFETENSORS_HEADER", `${where} has data_offsets ${JSON.stringify(offsets)}; it must be [begin, end]`);
  }
  const [begin, end] = offsets as [number, number];
  const size = product(shape);
  if (!Number.isSafeInteger(size) || end - begin !== size * BYTES[dtype]) {
    throw broken("SAFETENSORS_BOUNDS", `${where} is ${dtype} [${shape.join(", ")}], ${size * BYTES[dtype]} bytes, but owns bytes ${begin} to ${end}`);
  }
  if (end > data.byteLength) throw broken("SAFETENSORS_TRUNCATED", `${where} ends at byte ${end}; the file holds ${data.byteLength} bytes of data`);
  return { tensor: stored(name, dtype, shape, data.subarray(begin, end)), begin, end };
}

function stored(name: string, dtype: StoredDtype, shape: readonly number[], bytes: Uint8Array): StoredTensor {
  const size = product(shape);
  const fill = <A extends Float32Array | Float64Array>(out: A): A => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const read = READ[dtype];
    for (let i = 0; i < size; i++) out[i] = read(view, i * BYTES[dtype]);
    return out;
  };
  return Object.freeze({
    name, dtype, shape: Object.freeze([...shape]), size, bytes,
    numbers: () => fill(new Float64Array(size)),
    floats: () => fill(new Float32Array(size)),
  });
}

/**
 * Reads a safetensors file: u64 header length, JSON header, raw tensors. Everything the header claims is checked, and
 * two tensors may not share bytes. `label` names the file in errors.
 *
 * @throws PolyheadError `SAFETENSORS_TRUNCATED`, `SAFETENSORS_HEADER`, `SAFETENSORS_DTYPE` or `SAFETENSORS_BOUNDS`
 */
export function readSafetensors(file: Uint8Array, label = "the file"): Safetensors {
  const { header, data } = readHeader(file, label);
  const { __metadata__: metadata = {}, ...entries } = header;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw broken("SAFETENSORS_HEADER", `the metadata of ${label} must map names to strings`);
  }
  const found = Object.entries(entries).map(([name, entry]) => readEntry(name, entry, data, label));
  const ordered = found.filter(({ begin, end }) => end > begin).sort((a, b) => a.begin - b.begin);
  ordered.forEach((next, i) => {
    const last = ordered[i - 1];
    if (last !== undefined && next.begin < last.end) {
      throw broken("SAFETENSORS_BOUNDS", `tensors '${last.tensor.name}' and '${next.tensor.name}' of ${label} share byte ${next.begin}`);
    }
  });
  const byName = new Map(found.map(({ tensor }) => [tensor.name, tensor]));
  return Object.freeze({
    metadata: metadata as Record<string, string>,
    names: Object.freeze([...byName.keys()]),
    has: (name: string) => byName.has(name),
    get: (name: string) => {
      const tensor = byName.get(name);
      if (tensor !== undefined) return tensor;
      const some = [...byName.keys()].slice(0, 8).join(", ");
      throw new PolyheadError("SAFETENSORS_MISSING", `${label} has no tensor '${name}'; it has ${some}${byName.size > 8 ? ", …" : ""}`, "ask for a name listed in .names");
    },
  });
}

/**
 * The bytes of a safetensors file, tensors in the order given; the header is padded so that data starts at a multiple of 8.
 *
 * @throws PolyheadError `SAFETENSORS_SHAPE` when a tensor's data does not fill its shape.
 */
export function writeSafetensors(tensors: Readonly<Record<string, TensorToStore>>, metadata: Readonly<Record<string, string>> = {}): Uint8Array {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  let end = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    if (product(shape) !== data.length) {
      throw new PolyheadError("SAFETENSORS_SHAPE", `tensor '${name}' has ${data.length} values for shape [${shape.join(", ")}]`, "pass as many values as the shape holds");
    }
    header[name] = { dtype, shape, data_offsets: [end, end + data.length * BYTES[dtype]] };
    end += data.length * BYTES[dtype];
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const file = new Uint8Array(start + end).fill(0x20, 0, start);
  file.set(json, 8);
  const view = new DataView(file.buffer);
  view.setBigUint64(0, BigInt(start - 8), true);
  let at = start;
  for (const { dtype, data } of Object.values(tensors)) {
    const write = WRITE[dtype];
    for (let i = 0; i < data.length; i++, at += BYTES[dtype]) write(view, at, data[i]!);
  }
  return file;
}
