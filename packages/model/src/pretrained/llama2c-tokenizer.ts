import { PolyheadError } from "@polyhead/core";

/** Ids of llama2.c: unknown, begin and end of a text, then one for each byte. */
const SPECIAL = ["<unk>", "<s>", "</s>"];
const FIRST_PIECE = SPECIAL.length + 256;

interface Piece {
  readonly text: string;
  readonly score: number;
}

const broken = (message: string): PolyheadError => new PolyheadError("LLAMA2C_TOKENIZER", message, "give the tokenizer that was exported for this model, complete");

function readPieces(bytes: Uint8Array, vocab: number, label: string): Piece[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const pieces: Piece[] = [];
  let at = 4; // the length of the longest piece, of no use here
  for (let id = 0; id < vocab; id++) {
    if (at + 8 > bytes.byteLength) throw broken(`${label} ends after ${id} tokens; the model has ${vocab}`);
    const [score, length] = [view.getFloat32(at, true), view.getInt32(at + 4, true)];
    at += 8;
    if (length < 0 || at + length > bytes.byteLength) throw broken(`token ${id} of ${label} claims ${length} bytes; ${bytes.byteLength - at} are left`);
    if (!Number.isFinite(score)) throw broken(`token ${id} of ${label} has the score ${score}`);
    try {
      pieces.push({ text: decoder.decode(bytes.subarray(at, at + length)), score });
    } catch {
      throw broken(`token ${id} of ${label} is not text in UTF-8`);
    }
    at += length;
  }
  if (at !== bytes.byteLength) throw broken(`${label} goes on after the model's ${vocab} tokens, for ${bytes.byteLength - at} bytes`);
  return pieces;
}

/**
 * Pairs in the order in which they are joined. llama2.c joins whichever neighbours make the piece of the highest score, so every way
 * to cut a piece into two others is a pair, ranked by the score of what it makes.
 */
function mergesOf(pieces: readonly Piece[], known: ReadonlySet<string>): [string, string][] {
  return [...pieces].sort((a, b) => b.score - a.score).flatMap(({ text }) => {
    const characters = Array.from(text);
    return characters.slice(1).flatMap((_, i): [string, string][] => {
      const pair: [string, string] = [characters.slice(0, i + 1).join(""), characters.slice(i + 1).join("")];
      return known.has(pair[0]) && known.has(pair[1]) ? [pair] : [];
    });
  });
}

/**
 * Turns llama2.c's `tokenizer.bin` into the content of a `tokenizer.json` and a `tokenizer_config.json`: byte-pair encoding with a
 * space before the text, bytes for characters that have no piece, and a begin token.
 *
 * @param vocab  tokens of the model: the file must hold as many
 * @throws PolyheadError `LLAMA2C_TOKENIZER` when the file is broken or of another vocabulary.
 */
export function llama2cTokenizer(bytes: Uint8Array, vocab: number, label = "the tokenizer"): { readonly json: Readonly<Record<string, unknown>>; readonly config: Readonly<Record<string, unknown>> } {
  const pieces = readPieces(bytes, vocab, label);
  if (vocab < FIRST_PIECE) throw broken(`${label} has ${vocab} tokens; ${FIRST_PIECE} are special ones and bytes`);
  const byteName = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  const names = [...SPECIAL, ...Array.from({ length: 256 }, (_, byte) => byteName(byte)), ...pieces.slice(FIRST_PIECE).map(({ text }) => text)];
  const ids = new Map(names.map((name, id) => [name, id]));
  const twice = names.find((name, id) => ids.get(name) !== id);
  if (twice !== undefined) throw broken(`${label} has the token ${JSON.stringify(twice)} twice`);
  const learned = pieces.slice(FIRST_PIECE);
  const [unknown, begin, end] = SPECIAL as [string, string, string];
  const whole = { Sequence: { id: "A", type_id: 0 } };
  const beginning = { SpecialToken: { id: begin, type_id: 0 } };
  return {
    json: {
      added_tokens: SPECIAL.map((content, id) => ({ id, content, special: true, single_word: false, lstrip: false, rstrip: false, normalized: false })),
      normalizer: { type: "Prepend", prepend: " " },
      pre_tokenizer: null,
      post_processor: { type: "TemplateProcessing", single: [beginning, whole], pair: [beginning, whole, { Sequence: { id: "B", type_id: 1 } }], special_tokens: { [begin]: { id: begin, ids: [1], tokens: [begin] } } },
      decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }, { type: "Strip", content: " ", start: 1, stop: 0 }] },
      // fromEntries, since a piece may be called like a member of every object.
      model: { type: "BPE", unk_token: unknown, fuse_unk: false, byte_fallback: true, vocab: Object.fromEntries(ids), merges: mergesOf(learned, new Set(learned.map(({ text }) => text))) },
    },
    config: { bos_token: begin, eos_token: end, unk_token: unknown },
  };
}
