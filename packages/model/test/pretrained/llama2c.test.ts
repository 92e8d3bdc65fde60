import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { expect, test } from "vitest";
import type { DecoderModel } from "../../src/index.ts";
import { createTokenizer, llama2cTokenizer, loadPretrained, memorySource, openCheckpoint, type Pretrained } from "../../src/pretrained/index.ts";
import { CONFIG, expected, held, lab, tensors } from "./fixture.ts";

/** The layout of the C program, by hand: header, table, then kind by kind, two tables of angles, and a classifier if it is not shared. */
function legacy({ shared = true, change = {} }: { readonly shared?: boolean; readonly change?: Readonly<Record<number, number>> } = {}): Uint8Array {
  const numbers = [4, 6, 1, 2, 1, shared ? 5 : -5, 8].map((n, i) => change[i] ?? n);
  const all = tensors();
  const names = ["token_embedding_table", "layers.0.rms_att_weight", "layers.0.wq", "layers.0.wk", "layers.0.wv", "layers.0.wo", "layers.0.rms_ffn_weight", "layers.0.w1", "layers.0.w2", "layers.0.w3", "rms_final_weight"];
  // The angles are NaN: nobody may read them.
  const floats = [...names.flatMap((name) => [...(all[name]!.data as Float32Array)]), ...new Float32Array(16).fill(NaN), ...(shared ? [] : new Float32Array(20).fill(0.5))];
  return new Uint8Array([...new Uint8Array(Int32Array.from(numbers).buffer), ...new Uint8Array(Float32Array.from(floats).buffer)]);
}

/** Tokens of llama2.c: special ones and bytes, then pieces, each scored by its place. */
function tokenizerFile(pieces: readonly string[], scores: readonly number[] = pieces.map((_, i) => -i)): Uint8Array {
  const special = ["<unk>", "\n<s>\n", "\n</s>\n", ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)];
  const bytes: number[] = [7, 0, 0, 0];
  for (const [i, piece] of [...special, ...pieces].entries()) {
    const text = new TextEncoder().encode(piece);
    bytes.push(...new Uint8Array(Float32Array.of(scores[i - special.length] ?? 0).buffer), ...new Uint8Array(Int32Array.of(text.length).buffer), ...text);
  }
  return new Uint8Array(bytes);
}

test("a legacy file fills the same parameters as named tensors, its angles unread", async () => {
  const engine = createEngine(await openNodeGpu());
  for (const shared of [true, false]) {
    const { model, spec, generation, report, dispose } = await (loadPretrained(lab, engine, memorySource({ "stories.bin": legacy({ shared }) })) as Promise<Pretrained<DecoderModel>>);
    const head: Record<string, number[]> = shared ? {} : { "embedding.head": Array<number>(20).fill(0.5) };
    expect(await held(model)).toEqual({ ...expected(), ...head });
    expect([spec.embedding.use, spec.position["layout"], generation.eos, report.unused]).toEqual([shared ? "tied" : "untied", "interleaved", [1, 2], []]);
    dispose();
  }
  engine.gpu.dispose();
});

test("a legacy file of any other length than its header asks for is refused", async () => {
  const whole = legacy();
  const open = (bytes: Uint8Array) => openCheckpoint(memorySource({ "m.bin": bytes }, "dir"));
  for (let length = 0; length < whole.length; length += 3) await expect(open(whole.subarray(0, length))).rejects.toThrow("[LLAMA2C_SIZE] dir/m.bin has");
  await expect(open(new Uint8Array([...whole, 0]))).rejects.toThrow(`[LLAMA2C_SIZE] dir/m.bin has ${whole.length + 1} bytes; a model of the sizes in its header has ${whole.length}`);
  await expect(open(legacy({ change: { 2: 1 << 30 } }))).rejects.toThrow("[LLAMA2C_HEADER] dir/m.bin says that its n_layers is 1073741824; expected 1 to 1024");
  await expect(open(legacy({ change: { 0: 0 } }))).rejects.toThrow("its dim is 0");
  await expect(open(legacy({ change: { 3: 3 } }))).rejects.toThrow("3 heads, 1 for keys, in a width of 4");
  await expect(openCheckpoint(memorySource({ "a.bin": whole, "b.bin": whole }))).rejects.toThrow("[PRETRAINED_FILES] memory has no config.json and several files that may be llama2.c's: a.bin, b.bin");
});

const PIECES = [" a", "he", " the", "ll", "hell", "th", "ello", "hello", " h", "lo", "a", "b", "e", "h", "l", "o", "t", " ", "é"];

/** What llama2.c does: a space first, characters or their bytes, then the best-scored neighbours joined until none are left. */
function reference(text: string): number[] {
  const id = (piece: string): number => (PIECES.includes(piece) ? 259 + PIECES.indexOf(piece) : -1);
  const ids = Array.from(` ${text}`).flatMap((character) => (id(character) >= 0 ? [id(character)] : [...new TextEncoder().encode(character)].map((byte) => 3 + byte)));
  const piece = (i: number): string => PIECES[ids[i]! - 259] ?? "\0";
  for (;;) {
    let best = -1;
    for (let i = 0; i + 1 < ids.length; i++) {
      const joined = id(piece(i) + piece(i + 1));
      // Scores fall with the id, and of equals the first wins.
      if (joined >= 0 && (best < 0 || joined < id(piece(best) + piece(best + 1)))) best = i;
    }
    if (best < 0) return [1, ...ids];
    ids.splice(best, 2, id(piece(best) + piece(best + 1)));
  }
}

test("its tokenizer gives the ids of the C program, and their text back", () => {
  const { json, config } = llama2cTokenizer(tokenizerFile(PIECES), 259 + PIECES.length);
  const tokenizer = createTokenizer(json, config);
  expect(tokenizer.vocabSize).toBe(259 + PIECES.length);
  const letters = ["h", "e", "l", "o", "t", "a", " ", "é", "z", "\n", "❤"];
  let state = 1;
  const draw = (n: number): number => (state = (state * 48_271) % 2_147_483_647) % n;
  for (let i = 0; i < 300; i++) {
    const text = i === 0 ? "hello the hello" : Array.from({ length: 1 + draw(14) }, () => letters[draw(letters.length)]!).join("");
    const ids = tokenizer.encode(text);
    expect(ids, text).toEqual(reference(text));
    expect(tokenizer.decode(ids)).toBe(text);
  }
  expect(tokenizer.decode([1, 2])).toBe("");
});

test("a broken tokenizer of llama2.c is refused, cut off anywhere", () => {
  const whole = tokenizerFile(PIECES);
  const vocab = 259 + PIECES.length;
  for (let length = 0; length < whole.length; length += 7) expect(() => llama2cTokenizer(whole.subarray(0, length), vocab)).toThrow("[LLAMA2C_TOKENIZER]");
  expect(() => llama2cTokenizer(whole, vocab - 1, "tok.bin")).toThrow("tok.bin goes on after the model's 277 tokens, for 10 bytes");
  expect(() => llama2cTokenizer(whole, vocab + 1, "tok.bin")).toThrow("tok.bin ends after 278 tokens; the model has 279");
  expect(() => llama2cTokenizer(tokenizerFile(["a", "b", "a"]), 262)).toThrow('has the token "a" twice');
  expect(() => llama2cTokenizer(tokenizerFile(["a"], [NaN]), 260)).toThrow("token 259 of the tokenizer has the score NaN");
  expect(() => llama2cTokenizer(tokenizerFile([]).subarray(0, 4 + 8 + 5), 1)).toThrow("259 are special ones and bytes");
});

test("a tokenizer beside a legacy file must have the tokens of the model", async () => {
  await expect(openCheckpoint(memorySource({ "m.bin": legacy(), "tok5.bin": tokenizerFile(PIECES) }, "dir"))).rejects.toThrow("[LLAMA2C_TOKENIZER] dir/tok5.bin goes on after the model's 5 tokens");
  expect(CONFIG.vocab_size).toBe(5);
});
