import type { HostAccess } from "@polyhead/gpu";
import type { DType, Tensor } from "@polyhead/tensor";

/** Keys and values of some rows. */
export interface KeyValues {
  readonly k: Tensor;
  readonly v: Tensor;
}

/** How keys and values of `rows` rows lie in a message: all of k, then all of v. */
export interface BlockShape {
  readonly batch: number;
  readonly heads: number;
  readonly d: number;
  readonly dv: number;
  readonly dtype: DType;
}

export const shapeOfBlock = ({ k: { shape: [batch = 0, heads = 0, , d = 0], dtype }, v: { shape: [, , , dv = 0] } }: KeyValues): BlockShape => ({ batch, heads, d, dv, dtype });

/** Numbers of a block. */
export const blockSize = ({ batch, heads, d, dv }: BlockShape, rows: number): number => batch * heads * rows * (d + dv);

/** Bytes of a block in a message. */
export const blockBytes = (shape: BlockShape, rows: number): number => blockSize(shape, rows) * (shape.dtype === "f16" ? 2 : 4);

/** Where v begins, in bytes of a message of `bytes` bytes. */
const split = ({ d, dv }: BlockShape, bytes: number): number => (bytes / (d + dv)) * d;

/** Copies contiguous keys and values of the device's to a message. */
export async function readBlock(host: HostAccess, { k, v }: KeyValues, into: Uint8Array): Promise<void> {
  const at = split(shapeOfBlock({ k, v }), into.byteLength);
  await Promise.all([host.read(k.slice(), into.subarray(0, at)), host.read(v.slice(), into.subarray(at))]);
}

/** Copies a message to contiguous keys and values of the device's. */
export function writeBlock(host: HostAccess, { k, v }: KeyValues, from: Uint8Array): void {
  const at = split(shapeOfBlock({ k, v }), from.byteLength);
  host.write(k.slice(), from.subarray(0, at));
  host.write(v.slice(), from.subarray(at));
}
