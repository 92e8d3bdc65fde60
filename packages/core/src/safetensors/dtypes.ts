/** Storage types of the safetensors format that we read and write. */
export type StoredDtype = "F64" | "F32" | "F16" | "BF16" | "I64" | "U64" | "I32" | "U32" | "I16" | "U16" | "I8" | "U8" | "BOOL";

export const BYTES: Readonly<Record<StoredDtype, number>> = {
  F64: 8, I64: 8, U64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2, I16: 2, U16: 2, I8: 1, U8: 1, BOOL: 1,
};

export const isStoredDtype = (name: unknown): name is StoredDtype => typeof name === "string" && Object.hasOwn(BYTES, name);

/** The value of an IEEE binary16 pattern. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  // A zero exponent is a subnormal: no hidden bit, and the same scale as exponent 1.
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The binary16 pattern nearest to `value`, ties to even. */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65_520) return sign | 0x7c00;
  // Steps are 2^-24 below 2^-14, and 1/1024 of the power of two below the value from there on.
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const steps = roundToEven(magnitude / 2 ** (exponent - 10));
  // A carry into the next power of two adds into the exponent field, which is just what it should do.
  return sign | ((exponent + 14) * 1024 + steps);
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** One number, and its bits. */
const word: Float32Array = new Float32Array(1);
const wordBits: Uint32Array = new Uint32Array(word.buffer);

function bfloatToNumber(bits: number): number {
  wordBits[0] = bits << 16;
  return word[0]!;
}

/** The bfloat16 pattern nearest to `value`, ties to even. */
function numberToBfloat(value: number): number {
  word[0] = value;
  const bits = wordBits[0]!;
  // Add just under half a step, plus one when the kept part is odd. A NaN keeps its quiet bit.
  return Number.isNaN(value) ? 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

type Read = (view: DataView, at: number) => number;

/** How one element is read, little-endian; 64-bit integers must be exact in a double. */
export const READ: Readonly<Record<StoredDtype, Read>> = {
  F64: (view, at) => view.getFloat64(at, true),
  F32: (view, at) => view.getFloat32(at, true),
  F16: (view, at) => halfToNumber(view.getUint16(at, true)),
  BF16: (view, at) => bfloatToNumber(view.getUint16(at, true)),
  I64: (view, at) => exact(view.getBigInt64(at, true)),
  U64: (view, at) => exact(view.getBigUint64(at, true)),
  I32: (view, at) => view.getInt32(at, true),
  U32: (view, at) => view.getUint32(at, true),
  I16: (view, at) => view.getInt16(at, true),
  U16: (view, at) => view.getUint16(at, true),
  I8: (view, at) => view.getInt8(at),
  U8: (view, at) => view.getUint8(at),
  BOOL: (view, at) => view.getUint8(at),
};

function exact(value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw new RangeError(`${value.toString()} is not exact as a number`);
  return number;
}

type Write = (view: DataView, at: number, value: number) => void;

/** How one element is written, little-endian. */
export const WRITE: Readonly<Record<StoredDtype, Write>> = {
  F64: (view, at, value) => view.setFloat64(at, value, true),
  F32: (view, at, value) => view.setFloat32(at, value, true),
  F16: (view, at, value) => view.setUint16(at, numberToHalf(value), true),
  BF16: (view, at, value) => view.setUint16(at, numberToBfloat(value), true),
  I64: (view, at, value) => view.setBigInt64(at, BigInt(value), true),
  U64: (view, at, value) => view.setBigUint64(at, BigInt(value), true),
  I32: (view, at, value) => view.setInt32(at, value, true),
  U32: (view, at, value) => view.setUint32(at, value, true),
  I16: (view, at, value) => view.setInt16(at, value, true),
  U16: (view, at, value) => view.setUint16(at, value, true),
  I8: (view, at, value) => view.setInt8(at, value),
  U8: (view, at, value) => view.setUint8(at, value),
  BOOL: (view, at, value) => view.setUint8(at, value === 0 ? 0 : 1),
};
