import { expect, test } from "vitest";
import { halfToNumber, numberToHalf, readSafetensors, writeSafetensors, type StoredDtype } from "../src/safetensors/index.ts";
import { file } from "./safetensors-file.ts";

const cases: [StoredDtype, number[]][] = [
  ["F64", [1.1, -Infinity, NaN, 5e-324]],
  ["F32", [Math.fround(1.1), Infinity, NaN, -0]],
  ["F16", [0.5, 65_504, -Infinity, 2 ** -24]],
  ["BF16", [1, -3.140625, Infinity, NaN]],
  ["I64", [2 ** 53 - 1, -(2 ** 53 - 1), 0]],
  ["U64", [0, 2 ** 53 - 1]],
  ["I32", [-(2 ** 31), 2 ** 31 - 1]],
  ["U32", [2 ** 32 - 1]],
  ["I16", [-32_768]],
  ["U16", [65_535]],
  ["I8", [-128, 127]],
  ["U8", [255]],
  ["BOOL", [0, 1]],
];

test.each(cases)("%s comes back as it was written", (dtype, data) => {
  const back = readSafetensors(writeSafetensors({ pad: { dtype: "U8", shape: [1], data: [7] }, x: { dtype, shape: [data.length, 1], data } }, { who: "me" }));
  expect(back.metadata).toEqual({ who: "me" });
  expect(back.names).toEqual(["pad", "x"]);
  expect(back.get("x")).toMatchObject({ dtype, shape: [data.length, 1], size: data.length });
  expect([...back.get("x").numbers()]).toEqual(data);
});

test("every finite half is its own nearest half, and ties go to even", () => {
  for (let bits = 0; bits < 0x7c00; bits++) {
    if (numberToHalf(halfToNumber(bits)) !== bits) expect.fail(`0x${bits.toString(16)} became 0x${numberToHalf(halfToNumber(bits)).toString(16)}`);
  }
  expect(numberToHalf(1 + 2 ** -11)).toBe(numberToHalf(1));
  expect(numberToHalf(1 + 3 * 2 ** -11)).toBe(numberToHalf(1 + 2 ** -9));
  expect(numberToHalf(65_519)).toBe(0x7bff);
  expect(numberToHalf(65_520)).toBe(0x7c00);
  expect(numberToHalf(-0)).toBe(0x8000);
  expect(numberToHalf(2 ** -25)).toBe(0);
});

test("a file cut off anywhere is refused, never read short", () => {
  const whole = writeSafetensors({ x: { dtype: "F32", shape: [2], data: [1, 2] } });
  for (let length = 0; length < whole.length; length++) {
    expect(() => readSafetensors(whole.subarray(0, length), "cut.safetensors"), `${length} bytes`).toThrow(/\[SAFETENSORS_TRUNCATED\].*cut\.safetensors/s);
  }
  expect(readSafetensors(whole).get("x").floats()).toEqual(new Float32Array([1, 2]));
});

const x = { dtype: "F32", shape: [2], data_offsets: [0, 8] };
test.each([
  ["not JSON", "{", "SAFETENSORS_HEADER", "is not JSON"],
  ["no object", "[]", "SAFETENSORS_HEADER", "must be an object"],
  ["an unknown dtype", { x: { ...x, dtype: "F8" } }, "SAFETENSORS_DTYPE", "'x' of f has dtype \"F8\"; known are F64"],
  ["a negative size", { x: { ...x, shape: [-2] } }, "SAFETENSORS_HEADER", "has shape [-2]"],
  ["sizes that do not fill the bytes", { x: { ...x, shape: [3] } }, "SAFETENSORS_BOUNDS", "is F32 [3], 12 bytes, but owns bytes 0 to 8"],
  ["an end before the begin", { x: { ...x, data_offsets: [8, 0] } }, "SAFETENSORS_BOUNDS", "owns bytes 8 to 0"],
  ["a size that overflows", { x: { ...x, shape: [2 ** 40, 2 ** 40] } }, "SAFETENSORS_BOUNDS", "owns bytes 0 to 8"],
  ["tensors that overlap", { x, y: { ...x, data_offsets: [4, 12] } }, "SAFETENSORS_BOUNDS", "'x' and 'y' of f share byte 4"],
  ["data beyond the end", { x: { ...x, data_offsets: [16, 24] } }, "SAFETENSORS_TRUNCATED", "ends at byte 24; the file holds 16"],
  ["bytes that no tensor owns", { x, y: { ...x, data_offsets: [12, 16], shape: [1] } }, "SAFETENSORS_BOUNDS", "no tensor of f owns its bytes 8 to 12, before 'y'"],
  ["data that goes on after the last tensor", { x }, "SAFETENSORS_BOUNDS", "f holds 16 bytes of data; its tensors own 8"],
  ["a tensor given twice", `{"x":${JSON.stringify(x)},"x":${JSON.stringify({ ...x, data_offsets: [8, 16] })}}`, "SAFETENSORS_HEADER", "has the key 'x' twice"],
  ["a tensor given twice in two spellings", String.raw`{"x":${JSON.stringify(x)},"\u0078":${JSON.stringify({ ...x, data_offsets: [8, 16] })}}`, "SAFETENSORS_HEADER", "has the key 'x' twice"],
  ["a shape given twice", '{"x":{"dtype":"F32","shape":[4],"data_offsets":[0,16],"shape":[2,2]}}', "SAFETENSORS_HEADER", "has the key 'shape' twice"],
  ["a key that the format does not know", { x: { ...x, scale: 2 } }, "SAFETENSORS_HEADER", "has a key 'scale'"],
  ["space before the JSON", " {}", "SAFETENSORS_HEADER", "must start with '{'"],
  ["brackets without end", `{"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "SAFETENSORS_HEADER", "it must be an object"],
  ["metadata that is not text", { __metadata__: { n: 1 } }, "SAFETENSORS_HEADER", "must map names to strings"],
])("a header with %s is refused", (_what, header, code, message) => {
  const bytes = file(header, new Uint8Array(16));
  expect(() => readSafetensors(bytes, "f")).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) as string }) as Error);
});

test("a header longer than the format allows is refused before it is read", () => {
  const bytes = new Uint8Array(8).fill(0xff);
  expect(() => readSafetensors(bytes)).toThrow(/\[SAFETENSORS_HEADER\].*claims a header of 18446744073709551615 bytes/);
});

test("a missing tensor is named beside those that are there", () => {
  const opened = readSafetensors(writeSafetensors({ "h.0": { dtype: "F32", shape: [], data: [1] } }), "w.safetensors");
  expect(opened.has("h.1")).toBe(false);
  expect(() => opened.get("h.1")).toThrow("[SAFETENSORS_MISSING] w.safetensors has no tensor 'h.1'; it has h.0");
});

test("an integer that a double cannot hold is refused, not rounded", () => {
  const data = new Uint8Array(new BigInt64Array([2n ** 53n + 1n]).buffer);
  const opened = readSafetensors(file({ x: { dtype: "I64", shape: [1], data_offsets: [0, 8] } }, data));
  expect(() => opened.get("x").numbers()).toThrow("9007199254740993 is not exact");
});

test("values that do not fill their shape are not written", () => {
  expect(() => writeSafetensors({ x: { dtype: "F32", shape: [2, 2], data: [1] } })).toThrow("[SAFETENSORS_SHAPE] tensor 'x' has 1 values for shape [2, 2]");
});
