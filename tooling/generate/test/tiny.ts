import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, CONTEXT] = [8, 16, 1, 2, 1, 32];
const LETTERS = Array.from("abcde ");
/** Three special ids and a byte each come before the letters. */
const VOCAB = 259 + LETTERS.length;

/** A model of llama2.c with weights that mean nothing, and its tokenizer: a folder as `export.py` would leave it. */
export function tinyModel(): string {
  const folder = mkdtempSync(join(tmpdir(), "polyhead-generate-"));
  const keys = (DIM / HEADS) * KV_HEADS;
  const norms = DIM * (2 * LAYERS + 1);
  const matrices = VOCAB * DIM + LAYERS * (2 * DIM * DIM + 2 * DIM * keys + 3 * DIM * HIDDEN);
  const weights = Float32Array.from({ length: matrices + norms + CONTEXT * (DIM / HEADS) }, (_, i) => Math.sin(7 * i * i + i));
  const header = Int32Array.of(DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCAB, CONTEXT);
  writeFileSync(join(folder, "model.bin"), Buffer.concat([Buffer.from(header.buffer), Buffer.from(weights.buffer)]));

  const pieces = ["<unk>", "<s>", "</s>", ...Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`), ...LETTERS];
  const records = pieces.map((text) => {
    const bytes = Buffer.from(text);
    const head = Buffer.alloc(8);
    head.writeFloatLE(0, 0);
    head.writeInt32LE(bytes.length, 4);
    return Buffer.concat([head, bytes]);
  });
  writeFileSync(join(folder, "tok.bin"), Buffer.concat([Buffer.from(Int32Array.of(6).buffer), ...records]));
  return folder;
}
