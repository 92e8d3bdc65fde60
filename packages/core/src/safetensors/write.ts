import { PolyheadError } from "../errors.ts";
import { BYTES, WRITE, type StoredDtype } from "./dtypes.ts";

/** A tensor of a file that is to be written. */
export interface TensorToDescribe {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
}

/** What `writeSafetensors` takes: values in row-major order, stored as `dtype`. */
export interface TensorToStore extends TensorToDescribe {
  readonly data: ArrayLike<number>;
}

type Metadata = Readonly<Record<string, string>>;

const product = (shape: readonly number[]): number => shape.reduce((size, n) => size * n, 1);

/** The header with its length, padded so that data starts at a multiple of 8, and the bytes of data that follow. */
function encodeHeader(tensors: readonly (readonly [string, TensorToDescribe])[], metadata: Metadata): { readonly head: Uint8Array; readonly bytes: number } {
  let bytes = 0;
  const described = tensors.map(([name, { dtype, shape }]) => {
    const begin = bytes;
    bytes += product(shape) * BYTES[dtype];
    return [name, { dtype, shape, data_offsets: [begin, bytes] }] as const;
  });
  const all: readonly (readonly [string, unknown])[] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata], ...described] : described;
  // fromEntries, since assigning to a key named __proto__ would set something else.
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(all)));
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  head.set(json, 8);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  return { head, bytes };
}

function encodeTensor(name: string, { dtype, shape }: TensorToDescribe, data: ArrayLike<number>, into: Uint8Array): void {
  if (product(shape) !== data.length) {
    throw new PolyheadError("SAFETENSORS_SHAPE", `tensor '${name}' has ${data.length} values for shape [${shape.join(", ")}]`, "pass as many values as the shape holds");
  }
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  const write = WRITE[dtype];
  for (let i = 0; i < data.length; i++) write(view, i * BYTES[dtype], data[i]!);
}

/**
 * The bytes of a safetensors file, tensors in the order given; the header is padded so that data starts at a multiple of 8.
 *
 * @throws PolyheadError `SAFETENSORS_SHAPE` when a tensor's data does not fill its shape.
 */
export function writeSafetensors(tensors: Readonly<Record<string, TensorToStore>>, metadata: Metadata = {}): Uint8Array {
  const listed = Object.entries(tensors);
  const { head, bytes } = encodeHeader(listed, metadata);
  const file = new Uint8Array(head.length + bytes);
  file.set(head);
  let at = head.length;
  for (const [name, tensor] of listed) {
    const end = at + product(tensor.shape) * BYTES[tensor.dtype];
    encodeTensor(name, tensor, tensor.data, file.subarray(at, end));
    at = end;
  }
  return file;
}

/**
 * The same file piece by piece, so that memory holds one tensor at a time: the header, then each tensor's bytes.
 *
 * @param data  the values of a tensor, asked for in order
 * @throws PolyheadError `SAFETENSORS_SHAPE`
 */
export async function* streamSafetensors(
  tensors: ReadonlyMap<string, TensorToDescribe>,
  data: (name: string) => ArrayLike<number> | Promise<ArrayLike<number>>,
  metadata: Metadata = {},
): AsyncGenerator<Uint8Array, void, void> {
  const listed = [...tensors];
  yield encodeHeader(listed, metadata).head;
  for (const [name, tensor] of listed) {
    const bytes = new Uint8Array(product(tensor.shape) * BYTES[tensor.dtype]);
    encodeTensor(name, tensor, await data(name), bytes);
    yield bytes;
  }
}
