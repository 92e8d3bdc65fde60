// Writes the few parts of ONNX's protobuf (onnx.proto) that graphs of decoders and attention need.

const types = { f32: 1, i32: 6, i64: 7, f16: 10 } as const;
type OnnxType = keyof typeof types;

/** An input or output; a string in `dims` names a length that is known at run time only. */
export interface OnnxValue {
  readonly name: string;
  readonly type: OnnxType;
  readonly dims: readonly (number | string)[];
}

export interface OnnxNode {
  readonly op: string;
  readonly domain?: string;
  /** Empty for an optional one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number>>;
}

/** A constant: its numbers as they lie in memory, little-endian. */
export interface OnnxConstant {
  readonly name: string;
  readonly type: OnnxType;
  readonly dims: readonly number[];
  readonly data: ArrayBufferView<ArrayBuffer>;
}

export interface OnnxGraph {
  /** Each after those that it reads. */
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants?: readonly OnnxConstant[];
  readonly opset: number;
}

/** The domain of onnxruntime's own operators. */
export const MICROSOFT = "com.microsoft";

/** The bytes of a model. */
export function onnxModel({ nodes, inputs, outputs, constants = [], opset }: OnnxGraph): Uint8Array<ArrayBuffer> {
  const graph = [
    ...nodes.flatMap((node) => message(1, nodeProto(node))),
    ...text(2, "graph"),
    ...constants.flatMap((constant) => message(5, constantProto(constant))),
    ...inputs.flatMap((value) => message(11, valueProto(value))),
    ...outputs.flatMap((value) => message(12, valueProto(value))),
  ];
  const opsets = [...message(8, [...text(1, ""), ...integer(2, opset)]), ...message(8, [...text(1, MICROSOFT), ...integer(2, 1)])];
  return whole([...integer(1, 10), ...message(7, graph), ...opsets]);
}

/** Pieces of a message in their order, so that weights of hundreds of megabytes are copied once. */
type Pieces = readonly Uint8Array[];

function nodeProto({ op, domain, inputs, outputs, attributes = {} }: OnnxNode): Pieces {
  const INT = 2;
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) => message(5, [...text(1, name), ...integer(3, value), ...integer(20, INT)])),
    ...(domain === undefined ? [] : text(7, domain)),
  ];
}

function valueProto({ name, type, dims }: OnnxValue): Pieces {
  const shape = dims.flatMap((dim) => message(1, typeof dim === "string" ? text(2, dim) : integer(1, dim)));
  return [...text(1, name), ...message(2, message(1, [...integer(1, types[type]), ...message(2, shape)]))];
}

function constantProto({ name, type, dims, data }: OnnxConstant): Pieces {
  const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return [...dims.flatMap((dim) => integer(1, dim)), ...integer(2, types[type]), ...text(8, name), ...message(9, [raw])];
}

/** Seven bits a byte, the lowest first; the eighth says that there is more. */
function varint(value: number): number[] {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}

const VARINT = 0;
const BYTES = 2;
const integer = (field: number, value: number): Pieces => [Uint8Array.from([...varint(field * 8 + VARINT), ...varint(value)])];
const message = (field: number, pieces: Pieces): Pieces => [Uint8Array.from([...varint(field * 8 + BYTES), ...varint(lengthOf(pieces))]), ...pieces];
const text = (field: number, value: string): Pieces => message(field, [new TextEncoder().encode(value)]);
const lengthOf = (pieces: Pieces): number => pieces.reduce((sum, { length }) => sum + length, 0);

function whole(pieces: Pieces): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(lengthOf(pieces));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
