import { isPolyheadError } from "@polyhead/core";
import { writeSafetensors } from "@polyhead/core/safetensors";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { expect, test } from "vitest";
import type { DecoderModel } from "../../src/index.ts";
import { loadPretrained, memorySource, type Pretrained } from "../../src/pretrained/index.ts";
import { CONFIG, expected, held, lab, tensors } from "./fixture.ts";

const ROUNDS = 10_000;
const WHOLE = writeSafetensors(tensors(), { format: "pt" });
const START = 8 + Number(new DataView(WHOLE.buffer).getBigUint64(0, true));

/** Numbers below `n`, the same in every run. */
function draws(seed: number): (n: number) => number {
  let state = seed;
  return (n) => (state = (state * 48_271) % 2_147_483_647) % n;
}

/** A file with another header, whose length is told rightly. */
function withHeader(json: string): Uint8Array {
  const header = new TextEncoder().encode(json);
  const file = new Uint8Array(8 + header.length + WHOLE.length - START);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  file.set(WHOLE.subarray(START), 8 + header.length);
  return file;
}

const HEADER = new TextDecoder().decode(WHOLE.subarray(8, START));
const EXTREMES = ["0", "-1", "1e308", "1e999", "-0", "0.5", "9007199254740993", "4294967296", "18446744073709551615", "null", '""', "[]", "{}", "true", "[[]]", '{"__proto__":1}'];

type Mutation = (draw: (n: number) => number) => Uint8Array;
const MUTATIONS: readonly Mutation[] = [
  // Bytes flipped, in the length or in the JSON.
  (draw) => {
    const file = WHOLE.slice();
    for (let i = 0; i <= draw(3); i++) file[draw(START)]! ^= 1 << draw(8);
    return file;
  },
  // A number replaced.
  (draw) => {
    const numbers = [...HEADER.matchAll(/\d+/g)];
    const { index, 0: { length } } = numbers[draw(numbers.length)]!;
    return withHeader(HEADER.slice(0, index) + EXTREMES[draw(EXTREMES.length)]! + HEADER.slice(index + length));
  },
  // An entry doubled, as it is or with another content.
  (draw) => {
    const names = Object.keys(tensors());
    const name = names[draw(names.length)]!;
    const entry = JSON.stringify((JSON.parse(HEADER) as Record<string, unknown>)[draw(2) === 0 ? name : names[draw(names.length)]!]);
    return withHeader(HEADER.replace("{", `{${JSON.stringify(name)}:${entry},`));
  },
  // A key renamed to what every object has.
  (draw) => {
    const keys = [...HEADER.matchAll(/"[^"]+"(?=:)/g)];
    const { index, 0: { length } } = keys[draw(keys.length)]!;
    return withHeader(`${HEADER.slice(0, index)}"${["__proto__", "constructor", "toString", "__metadata__"][draw(4)]!}"${HEADER.slice(index + length)}`);
  },
  // The file, or the header alone, cut off.
  (draw) => (draw(2) === 0 ? WHOLE.subarray(0, draw(WHOLE.length)) : withHeader(HEADER.slice(0, draw(HEADER.length)))),
  // A piece of the header moved elsewhere.
  (draw) => {
    const [begin, length, to] = [draw(HEADER.length), draw(40), draw(HEADER.length)];
    const rest = HEADER.slice(0, begin) + HEADER.slice(begin + length);
    return withHeader(rest.slice(0, to) + HEADER.slice(begin, begin + length) + rest.slice(to));
  },
];

test(`${ROUNDS.toLocaleString("en")} mutated headers: each file is refused by a typed error, or is the same model; nothing stays on the device`, async () => {
  const engine = createEngine(await openNodeGpu());
  const draw = draws(2024);
  const codes = new Map<string, number>();
  const config = JSON.stringify(CONFIG);
  const same = expected();
  const start = performance.now();
  for (let round = 0; round < ROUNDS; round++) {
    const file = MUTATIONS[round % MUTATIONS.length]!(draw);
    let code = "loaded";
    try {
      const { model, dispose } = await (loadPretrained(lab, engine, memorySource({ "config.json": config, "model.safetensors": file })) as Promise<Pretrained<DecoderModel>>);
      expect(await held(model)).toEqual(same);
      dispose();
    } catch (error) {
      if (!isPolyheadError(error)) throw new Error(`round ${round} gave ${String(error)}`, { cause: error });
      code = error.code;
    }
    codes.set(code, (codes.get(code) ?? 0) + 1);
  }
  const seconds = (performance.now() - start) / 1000;
  expect(engine.gpu.stats.liveBytes).toBe(0);
  // Eight parameters, each in the smallest buffer, and the one that is read back.
  expect(engine.gpu.stats.peakBytes).toBeLessThan(16 * 256);
  expect(seconds).toBeLessThan(60);
  // Every check was reached, and some files survive: a flipped bit in the metadata changes no weight.
  for (const known of ["loaded", "SAFETENSORS_HEADER", "SAFETENSORS_BOUNDS", "SAFETENSORS_DTYPE", "SAFETENSORS_TRUNCATED", "PRETRAINED_TENSORS"]) expect([...codes.keys()]).toContain(known);
  engine.gpu.dispose();
});
