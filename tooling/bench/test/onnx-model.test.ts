import { expect, test } from "vitest";
import { onnxModel } from "../peers/onnx-model.ts";

type Message = { field: number; value: number | Uint8Array }[];

/** Protobuf's wire format as its specification reads: varints and length-delimited fields, nothing else. */
function parse(bytes: Uint8Array): Message {
  const found: Message = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const length = varint();
    if (tag % 8 === 0) found.push({ field: tag >> 3, value: length });
    else found.push({ field: tag >> 3, value: bytes.slice(at, (at += length)) });
  }
  return found;
}

const all = (message: Message, field: number): (number | Uint8Array)[] => message.filter((part) => part.field === field).map(({ value }) => value);
const inside = (message: Message, field: number): Message[] => all(message, field).map((value) => parse(value as Uint8Array));
const texts = (message: Message, field: number): string[] => all(message, field).map((value) => new TextDecoder().decode(value as Uint8Array));

test("a model holds its nodes, their attributes, its constants, and the shapes of inputs and outputs, however long", () => {
  const bytes = onnxModel({
    opset: 23,
    inputs: [{ name: "q", type: "f32", dims: [1, 32_768, "past"] }],
    outputs: [{ name: "o", type: "i32", dims: [] }],
    nodes: [{ op: "Attention", inputs: ["q", ""], outputs: ["o"], attributes: { q_num_heads: 300 } }, { op: "Add", inputs: ["o", "w"], outputs: ["p"] }],
    constants: [{ name: "w", type: "f32", dims: [2, 130], data: Float32Array.from({ length: 260 }, (_, i) => i) }],
  });
  const model = parse(bytes);
  const [graph] = inside(model, 7) as [Message];
  const [node, second] = inside(graph, 1) as [Message, Message];
  expect([texts(node, 1), texts(node, 2), texts(node, 4)]).toEqual([["q", ""], ["o"], ["Attention"]]);
  expect([texts(second, 1), texts(second, 4)]).toEqual([["o", "w"], ["Add"]]);
  const [constant] = inside(graph, 5) as [Message];
  const [raw] = all(constant, 9) as [Uint8Array];
  expect([all(constant, 1), all(constant, 2), texts(constant, 8), new DataView(raw.buffer).getFloat32(4 * 259, true)]).toEqual([[2, 130], [1], ["w"], 259]);
  const [attribute] = inside(node, 5) as [Message];
  expect([texts(attribute, 1), all(attribute, 3), all(attribute, 20)]).toEqual([["q_num_heads"], [300], [2]]);
  const [input] = inside(graph, 11) as [Message];
  const [tensorType] = inside(inside(input, 2)[0]!, 1) as [Message];
  const dims = inside(inside(tensorType, 2)[0]!, 1);
  expect([all(tensorType, 1), dims.flatMap((dim) => all(dim, 1)), dims.flatMap((dim) => texts(dim, 2))]).toEqual([[1], [1, 32_768], ["past"]]);
  expect(inside(model, 8).map((opset) => [texts(opset, 1), all(opset, 2)])).toEqual([[[""], [23]], [["com.microsoft"], [1]]]);
});
