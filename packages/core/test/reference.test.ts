import { describe, expect, it } from "vitest";
import { type Array64, type Mask, type QkHook, type ReferenceInputs, type ScoreHook, array64, causal, custom, full, maskMod, referenceAttention, window } from "../src/index.ts";
import { alibiHook, qkNormHook, ropeHook, softcapHook } from "./fixtures.ts";
import { randoms, worst } from "./numbers.ts";

const draw = randoms(7);
/** Odd sizes on purpose: two batch rows, four query heads in groups of two, Dv ≠ D. */
const base: ReferenceInputs = { q: draw([2, 4, 5, 6]), k: draw([2, 2, 7, 6]), v: draw([2, 2, 7, 3]), mask: full() };

const rows = ({ data, shape }: Array64, axis: number, from: number, to: number): Array64 => {
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const extent = shape[axis] ?? 0;
  const out: number[] = [];
  for (let start = 0; start < data.length; start += extent * inner) out.push(...data.subarray(start + from * inner, start + to * inner));
  return array64(out, shape.map((n, i) => (i === axis ? to - from : n)));
};

const repeatHeads = ({ data, shape }: Array64, group: number): Array64 => {
  const [B = 0, H = 0, T = 0, D = 0] = shape;
  const out: number[] = [];
  for (let bh = 0; bh < B * H; bh++) for (let g = 0; g < group; g++) out.push(...data.subarray(bh * T * D, (bh + 1) * T * D));
  return array64(out, [B, H * group, T, D]);
};

describe("the reference attention", () => {
  it("gives the numbers of a case done by hand", () => {
    // Scores ln 1 and ln 3: weights 1/4 and 3/4.
    const { o, lse } = referenceAttention({ q: array64([1], [1, 1, 1, 1]), k: array64([0, Math.log(3)], [1, 1, 2, 1]), v: array64([8, 4], [1, 1, 2, 1]), mask: full() });
    expect(o.data[0]).toBeCloseTo(5, 14);
    expect(lse.data[0]).toBeCloseTo(Math.log(4), 14);
  });

  it("has rows of probabilities that sum to one, and lse that normalises the masked scores", () => {
    const { lse, stages } = referenceAttention({ ...base, mask: causal(), qOffset: 2, score: [alibiHook] });
    lse.data.forEach((value, row) => {
      const s = stages.masked.data.subarray(row * 7, row * 7 + 7);
      const p = stages.probabilities.data.subarray(row * 7, row * 7 + 7);
      expect(p.reduce((a, b) => a + b)).toBeCloseTo(1, 14);
      expect(s.reduce((a, x) => a + Math.exp(x), 0)).toBeCloseTo(Math.exp(value), 12);
    });
  });

  it("keeps the order of law 1: hook, scale, score hooks, mask", () => {
    const { stages } = referenceAttention({ ...base, score: [softcapHook, alibiHook], mask: causal(), scale: 5 });
    stages.raw.data.forEach((s, at) => {
      const [j, i, h, b] = [at % 7, Math.floor(at / 7) % 5, Math.floor(at / 35) % 4, Math.floor(at / 140)];
      const dot = Array.from({ length: 6 }, (_, d) => (base.q.data[((b * 4 + h) * 5 + i) * 6 + d] ?? 0) * (base.k.data[((b * 2 + Math.floor(h / 2)) * 7 + j) * 6 + d] ?? 0)).reduce((a, x) => a + x);
      expect(s).toBeCloseTo(5 * dot, 12);
      const capped = 3 * Math.tanh(s / 3) - 2 ** (-4 * (h + 1)) * Math.abs(i - j);
      expect(stages.modified.data[at]).toBeCloseTo(capped, 12);
      expect(stages.masked.data[at]).toBe(j <= i ? stages.modified.data[at] : -Infinity);
    });
  });

  it("reads a key head for a group of query heads", () => {
    const wide = { ...base, k: repeatHeads(base.k, 2), v: repeatHeads(base.v, 2) };
    expect(worst(referenceAttention(base).o, referenceAttention(wide).o)).toBe(0);
  });

  it("a row with no allowed key gives zero and minus infinity, whatever its values hold", () => {
    const v = array64(base.v.data.map((value, at) => (Math.floor(at / 3) % 7 === 6 ? NaN : value)), base.v.shape);
    const { o, lse, stages } = referenceAttention({ ...base, v, mask: custom(maskMod`q != 1 && kv < 6`) });
    expect([...rows(o, 2, 1, 2).data].every((value) => value === 0)).toBe(true);
    expect([...rows(lse, 2, 1, 2).data].every((value) => value === -Infinity)).toBe(true);
    expect([...o.data, ...stages.probabilities.data].some(Number.isNaN)).toBe(false);
  });

  it("padding, a boolean tensor, an infinite float mask and a symbolic mask forbid alike", () => {
    const forbid = (value: number) => Array.from({ length: 7 }, (_, j) => (j >= 2 && j < 5 ? 1 - value : value));
    const symbolic = referenceAttention({ ...base, mask: custom(maskMod`kv >= 2 && kv < 5`) });
    const alike: ReferenceInputs[] = [
      { ...base, starts: [2, 2], lengths: [5, 5] },
      { ...base, keep: { data: forbid(0), shape: [1, 1, 1, 7] } },
      { ...base, additiveMask: array64(forbid(0).map((x) => (x === 1 ? 0 : -Infinity)), [1, 1, 1, 7]) },
    ];
    for (const inputs of alike) expect(worst(referenceAttention(inputs).o, symbolic.o)).toBe(0);
  });

  it("a bias stands before the score hooks, a float mask after them", () => {
    const extra = draw([1, 4, 5, 7]);
    const biased = referenceAttention({ ...base, bias: extra, score: [softcapHook] }).stages;
    const masked = referenceAttention({ ...base, additiveMask: extra, score: [softcapHook] }).stages;
    const [raw = 0, e = 0] = [biased.raw.data[0], extra.data[0]];
    expect(biased.masked.data[0]).toBeCloseTo(3 * Math.tanh((raw + e) / 3), 14);
    expect(masked.masked.data[0]).toBeCloseTo(3 * Math.tanh(raw / 3) + e, 14);
  });
});

const qkSets: readonly (readonly QkHook[])[] = [[], [ropeHook(6)], [ropeHook(4, "interleaved")], [qkNormHook, ropeHook(6)], [ropeHook(6), qkNormHook]];
const scoreSets: readonly (readonly ScoreHook[])[] = [[], [alibiHook], [softcapHook], [alibiHook, softcapHook]];
const masks: readonly Mask[] = [full(), causal(), window(2), window(1, 2)];
const combinations = qkSets.flatMap((qk) => scoreSets.flatMap((score) => masks.map((mask) => ({ qk, score, mask }))));

/** Two partial results over disjoint keys, by their log-sum-exps. */
function merge(a: ReturnType<typeof referenceAttention>, b: ReturnType<typeof referenceAttention>): ReturnType<typeof referenceAttention> {
  const Dv = a.o.shape[3] ?? 1;
  const lse = a.lse.data.map((x, row) => {
    const y = b.lse.data[row] ?? -Infinity;
    const m = Math.max(x, y);
    return m === -Infinity ? m : m + Math.log(Math.exp(x - m) + Math.exp(y - m));
  });
  const weight = (part: Array64, row: number) => (lse[row] === -Infinity ? 0 : Math.exp((part.data[row] ?? 0) - (lse[row] ?? 0)));
  const o = a.o.data.map((x, at) => {
    const row = Math.floor(at / Dv);
    return x * weight(a.lse, row) + (b.o.data[at] ?? 0) * weight(b.lse, row);
  });
  return { ...a, o: array64(o, a.o.shape), lse: array64(lse, a.lse.shape) };
}

describe("every combination of hooks and mask", () => {
  it("computed block by block at global positions is the whole", () => {
    let local = 0;
    for (const combination of combinations) {
      const inputs = { ...base, ...combination };
      const whole = referenceAttention(inputs);
      for (const [from, to] of [[0, 2], [2, 5]] as const) {
        const block = (start: number, end: number, global: boolean) =>
          referenceAttention({ ...inputs, q: rows(base.q, 2, from, to), k: rows(base.k, 2, start, end), v: rows(base.v, 2, start, end), qOffset: global ? from : 0, kvOffset: global ? start : 0 });
        const merged = merge(block(0, 4, true), block(4, 7, true));
        expect(worst(merged.o, rows(whole.o, 2, from, to))).toBeLessThan(1e-14);
        expect(worst(merged.lse, rows(whole.lse, 2, from, to))).toBeLessThan(1e-13);
        local = Math.max(local, worst(merge(block(0, 4, false), block(4, 7, false)).o, rows(whole.o, 2, from, to)));
      }
    }
    // The same with local positions is wrong, so the check above can fail.
    expect(local).toBeGreaterThan(0.1);
  });

  it("decoded a token at a time with a cache is the whole, batch rows at their own offsets too", () => {
    for (const combination of combinations) {
      const inputs = { ...base, ...combination, qOffset: [2, 1] };
      const whole = referenceAttention(inputs);
      for (let i = 0; i < 5; i++) {
        const step = referenceAttention({ ...inputs, q: rows(base.q, 2, i, i + 1), qOffset: [2 + i, 1 + i] });
        expect(worst(step.o, rows(whole.o, 2, i, i + 1))).toBe(0);
      }
    }
  });

  it("does not depend on positions of their own that repeat the rows", () => {
    const positions = { qPositions: [3, 4, 5, 6, 7, 3, 4, 5, 6, 7], kvPositions: [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6] };
    const inputs = { ...base, qk: [ropeHook(6)], qOffset: 3 };
    expect(worst(referenceAttention({ ...inputs, ...positions }).o, referenceAttention(inputs).o)).toBe(0);
    expect(worst(referenceAttention({ ...inputs, ...positions, qOffset: 0, kvOffset: 9 }).o, referenceAttention(inputs).o)).toBe(0);
  });
});

describe("inputs that do not fit each other", () => {
  it.each([
    [{ q: draw([2, 4, 6]) }, "q is [2, 4, 6]; expected 4 axes"],
    [{ k: draw([2, 2, 7, 5]) }, "q is [2, 4, 5, 6] and k is [2, 2, 7, 5]; expected the same batch and feature size"],
    [{ v: draw([2, 2, 6, 3]) }, "k is [2, 2, 7, 6] and v is [2, 2, 6, 3]; expected the same batch, heads and rows"],
    [{ k: draw([2, 3, 7, 6]), v: draw([2, 3, 7, 3]) }, "q has 4 heads and k has 3; expected a whole number"],
    [{ bias: draw([1, 4, 5, 6]) }, "bias is [1, 4, 5, 6]; expected [2, 4, 5, 7] with any axis 1"],
    [{ lengths: [1, 2, 3] }, "lengths has 3 numbers; expected 2"],
    [{ qPositions: [1] }, "qPositions has 1 numbers; expected 10"],
  ] as const)("are named: %#", (change, message) => {
    expect(() => referenceAttention({ ...base, ...change })).toThrow(`[REF_SHAPE] ${message}`);
  });
});
