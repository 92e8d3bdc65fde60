import type { BufferSlice, HostAccess } from "@polyhead/gpu";
import type { DType, Engine, Tensor } from "@polyhead/tensor";

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

/** Room for a block of `rows` rows. */
export const emptyBlock = (engine: Engine, { batch, heads, d, dv, dtype }: BlockShape, rows: number): KeyValues => ({ k: engine.empty([batch, heads, rows, d], dtype), v: engine.empty([batch, heads, rows, dv], dtype) });

/** Numbers of a block. */
export const blockSize = ({ batch, heads, d, dv }: BlockShape, rows: number): number => batch * heads * rows * (d + dv);

/** Bytes of a block in a message. */
export const blockBytes = (shape: BlockShape, rows: number): number => blockSize(shape, rows) * (shape.dtype === "f16" ? 2 : 4);

/** Where contiguous keys and values lie on the device. Steps of the host's are given this: the tensors are gone when they run, their place in the order is not. */
export interface BlockPlace {
  readonly k: BufferSlice;
  readonly v: BufferSlice;
}

export const placeOf = ({ k, v }: KeyValues): BlockPlace => ({ k: k.slice(), v: v.slice() });

/** Copies keys and values of the device's to a message. */
export async function readBlock(host: HostAccess, { k, v }: BlockPlace, into: Uint8Array): Promise<void> {
  await Promise.all([host.read(k, into.subarray(0, k.size)), host.read(v, into.subarray(k.size))]);
}

/** Copies a message to keys and values of the device's. */
export function writeBlock(host: HostAccess, { k, v }: BlockPlace, from: Uint8Array): void {
  host.write(k, from.subarray(0, k.size));
  host.write(v, from.subarray(k.size));
}
