import { allows } from "@polyhead/core";
import { readSafetensors, writeSafetensors, type Safetensors } from "@polyhead/core/safetensors";
import { expect, test } from "vitest";
import { flashAttributes, type FlashAttributes } from "../flash/attributes.ts";
import { flashProblem } from "../flash/problem.ts";

const plain = { B: 2, H: 2, HK: 1, Tq: 5, Tk: 7, D: 8, Dv: 8, causal: null, window: null, softcap: null, alibi: false, mask: null, scale: 0.3, segments: null } as const;
const none = readSafetensors(writeSafetensors({}));
const fileOf = (tensors: Parameters<typeof writeSafetensors>[0]): Safetensors => readSafetensors(writeSafetensors(tensors));

/** What the mask and the hooks of a case do to the raw score 0.5 of (b, h, row i, row j); undefined where the key is not seen. */
function scoreAt(more: Partial<FlashAttributes>, file: Safetensors, [b, h, i, j]: readonly [number, number, number, number]): number | undefined {
  const { mask, score, qOffset } = flashProblem(flashAttributes({ ...plain, ...more }), file);
  const at = { b, h, q: qOffset + i, kv: j };
  return allows(mask, at) ? score.reduce((s, hook) => hook.reference(s, at), 0.5) : undefined;
}

/** Checks every score of a case against the format's own formula, in rows i and j. */
function expectScores(more: Partial<FlashAttributes>, file: Safetensors, formula: (b: number, h: number, i: number, j: number) => number | undefined): void {
  const { B, H, Tq, Tk } = { ...plain, ...more };
  for (let b = 0; b < B; b++) for (let h = 0; h < H; h++) for (let i = 0; i < Tq; i++) for (let j = 0; j < Tk; j++) {
    const [got, want] = [scoreAt(more, file, [b, h, i, j]), formula(b, h, i, j)];
    if (want === undefined) expect(got, `${i}, ${j}`).toBeUndefined();
    else expect(got, `${i}, ${j}`).toBeCloseTo(want, 5);
  }
}

test.each([[5, 7], [7, 5], [6, 6]])("causal is aligned as the case says: %i queries, %i keys", (Tq, Tk) => {
  expectScores({ Tq, Tk, causal: "top-left" }, none, (_b, _h, i, j) => (j <= i ? 0.5 : undefined));
  expectScores({ Tq, Tk, causal: "bottom-right" }, none, (_b, _h, i, j) => (j <= i + Tk - Tq ? 0.5 : undefined));
});

test("a window counts from the last row, to both sides; a negative side is open", () => {
  const off = plain.Tk - plain.Tq;
  expectScores({ window: [2, 1] }, none, (_b, _h, i, j) => (i + off - j <= 2 && j - i - off <= 1 ? 0.5 : undefined));
  expectScores({ window: [1, -1] }, none, (_b, _h, i, j) => (i + off - j <= 1 ? 0.5 : undefined));
  expectScores({ causal: "bottom-right", window: [3, 0] }, none, (_b, _h, i, j) => (i + off - j <= 3 && j <= i + off ? 0.5 : undefined));
});

test("the soft cap comes before ALiBi, whose distance counts from the last row however causal is aligned", () => {
  const slopes = [0.5, 0.25];
  const file = fileOf({ "in.alibi_slopes": { dtype: "F32", shape: [2], data: slopes } });
  const formula = (h: number, i: number, j: number): number => 3 * Math.tanh(0.5 / 3) + slopes[h]! * (j - (i + plain.Tk - plain.Tq));
  expectScores({ softcap: 3, alibi: true }, file, (_b, h, i, j) => formula(h, i, j));
  expectScores({ softcap: 3, alibi: true, causal: "top-left" }, file, (_b, h, i, j) => (j <= i ? formula(h, i, j) : undefined));
});

test.each([[[2, 1, 5, 7]], [[1, 2, 5, 7]], [[5, 7]], [[2, 2, 1, 7]]])("a mask tensor of shape %j is broadcast: true is seen, numbers are added", (shape) => {
  const size = shape.reduce((a, b) => a * b, 1);
  const [B = 1, H = 1, Q = 1, K = 1] = [1, 1, 1, 1, ...shape].slice(-4);
  const index = (b: number, h: number, i: number, j: number): number => (((b % B) * H + (h % H)) * Q + (i % Q)) * K + (j % K);
  const keep = Array.from({ length: size }, (_, n) => ((n * n) % 5 < 3 ? 1 : 0));
  const added = keep.map((seen, n) => (seen === 1 ? n / 10 : -Infinity));
  expectScores({ mask: "bool" }, fileOf({ "in.mask": { dtype: "BOOL", shape, data: keep } }), (b, h, i, j) => (keep[index(b, h, i, j)] === 1 ? 0.5 : undefined));
  expectScores({ mask: "float", softcap: 2 }, fileOf({ "in.mask": { dtype: "F32", shape, data: added } }), (b, h, i, j) => 2 * Math.tanh(0.25) + added[index(b, h, i, j)]!);
});

test("segments keep documents apart, one row of ids for all or one a batch row", () => {
  const rows = [[0, 0, 1, 1, 1, 2], [0, 1, 1, 1, 1, 1]];
  const square = { Tq: 6, Tk: 6, causal: "top-left", segments: [2, 3, 1] } as const;
  const all = fileOf({ "in.segment_ids": { dtype: "I64", shape: [6], data: rows[0]! } });
  expectScores(square, all, (_b, _h, i, j) => (j <= i && rows[0]![i] === rows[0]![j] ? 0.5 : undefined));
  const each = fileOf({ "in.segment_ids": { dtype: "I64", shape: [2, 6], data: rows.flat() } });
  expectScores(square, each, (b, _h, i, j) => (j <= i && rows[b]![i] === rows[b]![j] ? 0.5 : undefined));
});

test("what is not understood is not run", () => {
  expect(() => flashAttributes({ ...plain, sinks: 4 })).toThrow("attribute sinks");
  expect(() => flashAttributes({ ...plain, causal: "middle" })).toThrow('attribute causal of "middle"');
  expect(() => flashAttributes({ ...plain, window: [1] })).toThrow("attribute window of [1]");
});
