// Writes the few parts of ONNX's protobuf (onnx.proto) that a graph of attention nodes needs.

const types = { f32: 1, i32: 6 } as const;

/** An input or output; a string in `dims` names a length that is known at run time only. */
export interface OnnxValue {
  readonly name: string;
  readonly type: keyof typeof types;
  readonly dims: readonly (number | string)[];
}

export interface OnnxNode {
  readonly op: string;
  readonly domain?: string;
  /** Empty for an optional one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, number>>;
}

export interface OnnxGraph {
  readonly node: OnnxNode;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly opset: number;
}

/** The domain of onnxruntime's own operators. */
export const MICROSOFT = "com.microsoft";

/** The bytes of a model of one node. */
export function onnxModel({ node, inputs, outputs, opset }: OnnxGraph): Uint8Array<ArrayBuffer> {
  const graph = [
    ...message(1, nodeProto(node)),
    ...text(2, "graph"),
    ...inputs.flatMap((value) => message(11, valueProto(value))),
    ...outputs.flatMap((value) => message(12, valueProto(value))),
  ];
  const opsets = [...message(8, [...text(1, ""), ...integer(2, opset)]), ...message(8, [...text(1, MICROSOFT), ...integer(2, 1)])];
  return Uint8Array.from([...integer(1, 10), ...message(7, graph), ...opsets]);
}

function nodeProto({ op, domain, inputs, outputs, attributes }: OnnxNode): number[] {
  const INT = 2;
  return [
    ...inputs.flatMap((name) => text(1, name)),
    ...outputs.flatMap((name) => text(2, name)),
    ...text(4, op),
    ...Object.entries(attributes).flatMap(([name, value]) => message(5, [...text(1, name), ...integer(3, value), ...integer(20, INT)])),
    ...(domain === undefined ? [] : text(7, domain)),
  ];
}

function valueProto({ name, type, dims }: OnnxValue): number[] {
  const shape = dims.flatMap((dim) => message(1, typeof dim === "string" ? text(2, dim) : integer(1, dim)));
  return [...text(1, name), ...message(2, message(1, [...integer(1, types[type]), ...message(2, shape)]))];
}

/** Seven bits a byte, the lowest first; the eighth says that there is more. */
function varint(value: number): number[] {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) + 128);
  return [...bytes, value];
}

const VARINT = 0;
const BYTES = 2;
const integer = (field: number, value: number): number[] => [...varint(field * 8 + VARINT), ...varint(value)];
const message = (field: number, bytes: readonly number[]): number[] => [...varint(field * 8 + BYTES), ...varint(bytes.length), ...bytes];
const text = (field: number, value: string): number[] => message(field, [...new TextEncoder().encode(value)]);
