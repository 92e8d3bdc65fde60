import { isRecord, show } from "../config.ts";
import { PolyheadError } from "../errors.ts";
import { BYTES, isStoredDtype, type StoredDtype } from "./dtypes.ts";
import { duplicateKey } from "./duplicate-keys.ts";

/** Where a tensor lies in its file, and what it is. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
  /** First byte, from the start of the file. */
  readonly begin: number;
  /** One past the last byte. */
  readonly end: number;
}

/** A header whose every claim has been checked against the size of its file. */
export interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  readonly entries: ReadonlyMap<string, TensorEntry>;
}

/** Bytes of the number that stands before the header. */
export const LENGTH_BYTES = 8;
/** The format's own bound on its JSON header, in bytes: no honest file comes near, and a hostile one cannot make us parse more. */
const MAX_HEADER_BYTES = 100_000_000;

const product = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);
const isCount = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;

function broken(code: string, message: string): PolyheadError {
  return new PolyheadError(code, message, "write or download the file again; it was cut short or is not a safetensors file");
}

/**
 * One past the last byte of the header of a file of `size` bytes that starts with `bytes`: nothing is allocated for a length that
 * the file cannot have.
 *
 * @throws PolyheadError `SAFETENSORS_TRUNCATED`, `SAFETENSORS_HEADER`
 */
export function endOfHeader(bytes: Uint8Array, size: number, label: string): number {
  if (size < LENGTH_BYTES) throw broken("SAFETENSORS_TRUNCATED", `${label} has ${size} bytes; a header length takes ${LENGTH_BYTES}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) throw broken("SAFETENSORS_HEADER", `${label} claims a header of ${length.toString()} bytes; at most ${MAX_HEADER_BYTES} are allowed`);
  const end = LENGTH_BYTES + Number(length);
  if (end > size) throw broken("SAFETENSORS_TRUNCATED", `${label} has ${size} bytes; its header alone ends at ${end}`);
  return end;
}

function parse(bytes: Uint8Array, label: string): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    throw broken("SAFETENSORS_HEADER", `the header of ${label} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isRecord(header)) throw broken("SAFETENSORS_HEADER", `the header of ${label} is ${show(header)}; it must be an object`);
  if (!text.startsWith("{")) throw broken("SAFETENSORS_HEADER", `the header of ${label} starts with a space; it must start with '{'`);
  const twice = duplicateKey(text);
  if (twice !== undefined) throw broken("SAFETENSORS_HEADER", `the header of ${label} has the key '${twice}' twice in one object`);
  return header;
}

function readEntry(name: string, entry: unknown, start: number, size: number, label: string): TensorEntry {
  const where = `tensor '${name}' of ${label}`;
  if (!isRecord(entry)) throw broken("SAFETENSORS_HEADER", `${where} is described by ${show(entry)}; it must be an object`);
  const { dtype, shape, data_offsets: offsets, ...rest } = entry;
  if (!isStoredDtype(dtype)) throw broken("SAFETENSORS_DTYPE", `${where} has dtype ${typeof dtype === "string" ? JSON.stringify(dtype) : show(dtype)}; known are ${Object.keys(BYTES).join(", ")}`);
  if (!Array.isArray(shape) || !shape.every(isCount)) throw broken("SAFETENSORS_HEADER", `${where} has shape ${show(shape)}; it must list sizes`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw broken("SAFETENSORS_HEADER", `${where} has data_offsets ${show(offsets)}; it must be [begin, end]`);
  }
  const [extra] = Object.keys(rest);
  if (extra !== undefined) throw broken("SAFETENSORS_HEADER", `${where} has a key '${extra}'; the format knows dtype, shape and data_offsets`);
  const [begin, end] = offsets as [number, number];
  const elements = product(shape);
  if (!Number.isSafeInteger(elements) || end - begin !== elements * BYTES[dtype]) {
    throw broken("SAFETENSORS_BOUNDS", `${where} is ${dtype} [${shape.join(", ")}], ${elements * BYTES[dtype]} bytes, but owns bytes ${begin} to ${end}`);
  }
  if (end > size - start) throw broken("SAFETENSORS_TRUNCATED", `${where} ends at byte ${end}; the file holds ${size - start} bytes of data`);
  return Object.freeze({ name, dtype, shape: Object.freeze([...shape]), size: elements, begin: start + begin, end: start + end });
}

/** Tensors own every byte of the data once: shared bytes and bytes of nobody are how a file smuggles something past its readers. */
function checkLayout(entries: readonly TensorEntry[], start: number, size: number, label: string): void {
  const ordered = entries.filter(({ begin, end }) => end > begin).sort((a, b) => a.begin - b.begin);
  let at = start;
  let last: TensorEntry | undefined;
  for (const next of ordered) {
    if (last !== undefined && next.begin < at) throw broken("SAFETENSORS_BOUNDS", `tensors '${last.name}' and '${next.name}' of ${label} share byte ${next.begin - start}`);
    if (next.begin > at) throw broken("SAFETENSORS_BOUNDS", `no tensor of ${label} owns its bytes ${at - start} to ${next.begin - start}, before '${next.name}'`);
    at = next.end;
    last = next;
  }
  if (at < size) throw broken("SAFETENSORS_BOUNDS", `${label} holds ${size - start} bytes of data; its tensors own ${at - start}`);
}

/**
 * Checks everything that a header claims.
 *
 * @param bytes  the JSON alone
 * @param size   bytes of the whole file
 * @throws PolyheadError `SAFETENSORS_TRUNCATED`, `SAFETENSORS_HEADER`, `SAFETENSORS_DTYPE` or `SAFETENSORS_BOUNDS`
 */
export function readHeader(bytes: Uint8Array, size: number, label: string): Header {
  const start = LENGTH_BYTES + bytes.byteLength;
  const { __metadata__: metadata = {}, ...described } = parse(bytes, label);
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw broken("SAFETENSORS_HEADER", `the metadata of ${label} must map names to strings`);
  }
  const entries = Object.entries(described).map(([name, entry]) => readEntry(name, entry, start, size, label));
  checkLayout(entries, start, size, label);
  return { metadata: metadata as Record<string, string>, entries: new Map(entries.map((entry) => [entry.name, entry])) };
}

/** @throws PolyheadError `SAFETENSORS_MISSING` */
export function find(entries: ReadonlyMap<string, TensorEntry>, name: string, label: string): TensorEntry {
  const entry = entries.get(name);
  if (entry !== undefined) return entry;
  const some = [...entries.keys()].slice(0, 8).join(", ");
  throw new PolyheadError("SAFETENSORS_MISSING", `${label} has no tensor '${name}'; it has ${some}${entries.size > 8 ? ", …" : ""}`, "ask for a name listed in .names");
}
