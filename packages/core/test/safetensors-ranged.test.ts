import { expect, test } from "vitest";
import { openSafetensors, readSafetensors, streamSafetensors, writeSafetensors, type ByteSource, type TensorToStore } from "../src/safetensors/index.ts";
import { file } from "./safetensors-file.ts";

/** Bytes as a source that notes what was asked of it. */
function source(bytes: Uint8Array, size = bytes.length): ByteSource & { readonly asked: [number, number][] } {
  const asked: [number, number][] = [];
  return {
    label: "w.safetensors", size, asked,
    read: (begin, end) => {
      asked.push([begin, end]);
      return Promise.resolve(bytes.subarray(begin, end));
    },
  };
}

const tensors: Record<string, TensorToStore> = {
  a: { dtype: "F32", shape: [2], data: [1, 2] },
  b: { dtype: "BF16", shape: [1, 2], data: [3, -4] },
  empty: { dtype: "F16", shape: [0, 3], data: [] },
};

test("only the header is read on opening, and only the tensor's own bytes when it is asked for", async () => {
  const bytes = writeSafetensors(tensors, { who: "me" });
  const from = source(bytes);
  const opened = await openSafetensors(from);
  const start = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  expect(from.asked).toEqual([[0, 8], [8, start]]);
  expect([opened.metadata, opened.names]).toEqual([{ who: "me" }, ["a", "b", "empty"]]);
  expect(opened.entry("b")).toEqual({ name: "b", dtype: "BF16", shape: [1, 2], size: 2, begin: start + 8, end: start + 12 });
  expect((await opened.read("b")).floats()).toEqual(new Float32Array([3, -4]));
  expect((await opened.read("empty")).floats()).toEqual(new Float32Array(0));
  expect(from.asked.slice(2)).toEqual([[start + 8, start + 12]]);
  await expect(opened.read("c")).rejects.toThrow("[SAFETENSORS_MISSING] w.safetensors has no tensor 'c'");
});

test("a header length of 2^60 is refused after eight bytes", async () => {
  const bytes = new Uint8Array(64);
  new DataView(bytes.buffer).setBigUint64(0, 2n ** 60n, true);
  const from = source(bytes, 2 ** 50);
  await expect(openSafetensors(from)).rejects.toThrow("claims a header of 1152921504606846976 bytes");
  expect(from.asked).toEqual([[0, 8]]);
});

test("a header that would end after its file is refused unread", async () => {
  const bytes = file({});
  new DataView(bytes.buffer).setBigUint64(0, 90_000_000n, true);
  const large = source(bytes);
  await expect(openSafetensors(large)).rejects.toThrow("[SAFETENSORS_TRUNCATED] w.safetensors has 10 bytes; its header alone ends at 90000008");
  expect(large.asked).toEqual([[0, 8]]);
});

test("a file cut off anywhere is refused when it is opened", async () => {
  const whole = writeSafetensors(tensors);
  for (let length = 0; length < whole.length; length++) {
    await expect(openSafetensors(source(whole.subarray(0, length))), `${length} bytes`).rejects.toThrow(expect.objectContaining({ code: "SAFETENSORS_TRUNCATED" }) as Error);
  }
});

test("names that every object has are names like any other", async () => {
  const entry = (at: number): object => ({ dtype: "U8", shape: [1], data_offsets: [at, at + 1] });
  const header = `{"__proto__":${JSON.stringify(entry(0))},"constructor":${JSON.stringify(entry(1))},"toString":${JSON.stringify(entry(2))}}`;
  const opened = await openSafetensors(source(file(header, new Uint8Array([7, 8, 9]))));
  expect(opened.names).toEqual(["__proto__", "constructor", "toString"]);
  expect([...(await opened.read("__proto__")).numbers()]).toEqual([7]);
  expect([opened.has("hasOwnProperty"), opened.has("valueOf")]).toEqual([false, false]);
  expect(({} as Record<string, unknown>)["dtype"]).toBe(undefined);
  const written = writeSafetensors(Object.fromEntries([["__proto__", { dtype: "U8", shape: [1], data: [5] }]]));
  expect(readSafetensors(written).names).toEqual(["__proto__"]);
  // An entry cannot inherit what it does not say.
  expect(() => readSafetensors(file('{"x":{"__proto__":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}}'))).toThrow("has dtype undefined");
});

test("a file written piece by piece is the file written at once", async () => {
  const pieces: Uint8Array[] = [];
  for await (const piece of streamSafetensors(new Map(Object.entries(tensors)), (name) => Promise.resolve(tensors[name]!.data), { who: "me" })) pieces.push(piece);
  expect(pieces.length).toBe(4);
  expect(Uint8Array.from(pieces.flatMap((piece) => [...piece]))).toEqual(writeSafetensors(tensors, { who: "me" }));
});

test("every pattern of a 16-bit float is widened to its value, wherever its bytes lie", () => {
  const patterns = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits);
  for (const dtype of ["F16", "BF16"] as const) {
    const x = { dtype, shape: [patterns.length], data_offsets: [1, 1 + 2 * patterns.length] };
    // One byte before them makes their place odd.
    const opened = readSafetensors(file({ pad: { dtype: "U8", shape: [1], data_offsets: [0, 1] }, x }, new Uint8Array([0, ...new Uint8Array(patterns.buffer)])));
    expect(opened.get("x").floats()).toEqual(Float32Array.from(opened.get("x").numbers()));
  }
});
