import { describe, expect, it } from "vitest";
import { type AffineConjuncts, affineConjuncts, capture, evaluate, formula, maskMod, printProgram, scoreMod, type Program } from "../src/index.ts";

const FAR = 2 ** 30;
const documents = capture(Int32Array.of(0, 0, 1, 1), [1, 4], { name: "documents" });

/** The parts as short text: `kv>=q-3`, `kv<=7`, and the rest printed. */
function shown(mask: Program): string[] {
  const { lower, upper, rest } = affineConjuncts(mask);
  const side = (mark: string) => ({ q, offset }: AffineConjuncts["lower"][number]): string => `kv${mark}${q === 1 ? "q" : ""}${q === 1 && offset >= 0 ? "+" : ""}${offset}`;
  return [...lower.map(side(">=")), ...upper.map(side("<=")), ...(rest ? [printProgram(rest)] : [])];
}

describe("the bounds on keys in a mask", () => {
  it.each<[Program, string[]]>([
    [maskMod`true`, []],
    [maskMod`kv <= q`, ["kv<=q+0"]],
    [maskMod`kv < q`, ["kv<=q-1"]],
    [maskMod`q >= kv && q - kv < 128`, ["kv>=q-127", "kv<=q+0"]],
    [maskMod`!(kv > q) && !(kv < 4)`, ["kv>=4", "kv<=q+0"]],
    [maskMod`!(kv > q || kv >= 9)`, ["kv<=q+0", "kv<=8"]],
    [maskMod`kv == q - 1`, ["kv>=q-1", "kv<=q-1"]],
    [maskMod`2 * q - kv < q + 3`, ["kv>=q-2"]],
    [maskMod`abs(q - kv) <= 8`, ["kv>=q-8", "kv<=q+8"]],
    [maskMod`8 > abs(kv - q) + 1`, ["kv>=q-6", "kv<=q+6"]],
    [maskMod`max(kv, kv + 2) <= min(q, 90)`, ["kv<=q+0", "kv<=90", "kv<=q-2", "kv<=88"]],
    [maskMod`kv <= min(q, 90)`, ["kv<=q+0", "kv<=90"]],
    [maskMod`max(kv, 3) <= q + 5`, ["(max(kv, 3) <= (q + 5))"]],
  ])("are read off, case %#", (mask, wanted) => {
    expect(shown(mask)).toEqual(wanted);
  });

  it.each<[Program, string[]]>([
    [maskMod`kv <= q && ${documents}[b, q] == ${documents}[b, kv]`, ["kv<=q+0", "(${documents}[b, q] == ${documents}[b, kv])"]],
    [maskMod`kv <= q || kv < 4`, ["((kv <= q) || (kv < 4))"]],
    [maskMod`kv != q`, ["(!(kv == q))"]],
    [maskMod`kv + q < 9`, ["((kv + q) < 9)"]],
    [maskMod`2 * kv <= q`, ["((kv * 2) <= q)"]],
    [maskMod`kv <= q + h`, ["(kv <= (q + h))"]],
    [maskMod`q < 9 && b == 0`, ["((q < 9) && (b == 0))"]],
    [maskMod`abs(q - kv) >= 8`, ["(8 <= abs((q - kv)))"]],
    [maskMod`f32(kv) <= f32(q)`, ["(f32(kv) <= f32(q))"]],
  ])("leave the rest, case %#", (mask, wanted) => {
    expect(shown(mask)).toEqual(wanted);
  });

  it("are not read off where an i32 may overflow for positions below 2³⁰", () => {
    // q + 2³¹ − 1 wraps, so this is false at q = 1 although kv is small.
    const mask = maskMod`kv <= q + 2147483647`;
    expect(evaluate(mask, { b: 0, h: 0, q: 1, kv: 0 })).toEqual([0]);
    for (const each of [mask, maskMod`kv * 3 - q * 2 <= kv * 2 - q`, maskMod`kv <= ${FAR + 1}`, maskMod`abs(kv * 2 + 2147483000) <= 5`, maskMod`max(kv + 1610612736, q - 1073741824) + 1610612736 <= 5`]) {
      expect(affineConjuncts(each)).toMatchObject({ lower: [], upper: [] });
      expect(affineConjuncts(each).rest?.key).toBe(each.key);
    }
  });

  it("together with the rest mean the mask, cell by cell", () => {
    const masks = [
      maskMod`kv <= q && q - kv < 5 && (q - kv) % 2 == 0`,
      maskMod`!(q < kv || kv + 3 <= q) && h < 1`,
      maskMod`abs(q - kv - 2) < 4 && kv <= min(q + 1, 11) && kv != 3`,
      maskMod`kv == q + 1 && -q <= -kv + 5`,
      maskMod`kv - 1073741823 <= 0 && q - kv <= 1073741823`,
    ];
    const positions = [...Array.from({ length: 14 }, (_, i) => i), FAR - 3, FAR - 2, FAR - 1];
    for (const mask of masks) {
      const { lower, upper, rest } = affineConjuncts(mask);
      expect(lower.length + upper.length).toBeGreaterThan(0);
      for (const q of positions) {
        for (const kv of positions) {
          const env = { b: 0, h: 0, q, kv };
          const allowed = lower.every((bound) => kv >= q * bound.q + bound.offset) && upper.every((bound) => kv <= q * bound.q + bound.offset) && (!rest || evaluate(rest, env)[0] === 1);
          expect(Number(allowed), `${printProgram(mask)} at q ${q} kv ${kv}`).toBe(evaluate(mask, env)[0]);
        }
      }
    }
  });

  it("are asked of one condition only", () => {
    expect(() => affineConjuncts(scoreMod`score`)).toThrow("[EXPR_TYPE] a program with outputs (f32) is not one condition; expected (bool)");
    expect(() => affineConjuncts(formula({ q: "i32" })`q < 1, q < 2`)).toThrow("outputs (bool, bool)");
  });
});
