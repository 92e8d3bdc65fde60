import { BYTES, halfToNumber, READ, type StoredDtype } from "./dtypes.ts";
import type { TensorEntry } from "./header.ts";

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

/** The tensor of `entry`, whose bytes are `bytes`. */
export function storedTensor({ name, dtype, shape, size }: TensorEntry, bytes: Uint8Array): StoredTensor {
  const fill = <A extends Float32Array | Float64Array>(out: A): A => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const read = READ[dtype];
    for (let i = 0; i < size; i++) out[i] = read(view, i * BYTES[dtype]);
    return out;
  };
  return Object.freeze({
    name, dtype, shape, size, bytes,
    numbers: () => fill(new Float64Array(size)),
    floats: () => BULK[dtype]?.(bytes) ?? fill(new Float32Array(size)),
  });
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The same bytes where any array may lie over them. */
const aligned = (bytes: Uint8Array): ArrayBuffer => {
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy.buffer;
};

let halves: Float32Array | undefined;
/** Of every binary16 pattern: models have more values than there are patterns. */
const valuesOfHalves = (): Float32Array => (halves ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => halfToNumber(bits)));

// Plain loops: `from` with a function walks an iterator, fifty times slower.
function widenHalves(bytes: Uint8Array): Float32Array {
  const [values, patterns] = [valuesOfHalves(), new Uint16Array(aligned(bytes))];
  const out = new Float32Array(patterns.length);
  for (let i = 0; i < out.length; i++) out[i] = values[patterns[i]!]!;
  return out;
}

function widenBfloats(bytes: Uint8Array): Float32Array {
  const patterns = new Uint16Array(aligned(bytes));
  const out = new Uint32Array(patterns.length);
  for (let i = 0; i < out.length; i++) out[i] = patterns[i]! << 16;
  return new Float32Array(out.buffer);
}

/** Faster ways to the f32 values of what weights are stored as, on machines whose numbers lie as the format's do. */
const BULK: Partial<Record<StoredDtype, (bytes: Uint8Array) => Float32Array>> = LITTLE_ENDIAN
  ? { F32: (bytes) => new Float32Array(aligned(bytes)), F16: widenHalves, BF16: widenBfloats }
  : {};
