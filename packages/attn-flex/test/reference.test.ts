import { array64, custom, maskMod, referenceAttention, scoreHook, scoreMod } from "@polyhead/core";
import { assertClose, uniform } from "@polyhead/testkit";
import { describe, expect, it } from "vitest";
import { flexReference } from "../src/reference.ts";

describe("block-sparse attention with modifiers", () => {
  const [queries, keys, d, dv] = [20, 23, 4, 3];
  const numbers = (size: number, seed: number): Float64Array => Float64Array.from(uniform(size, seed));
  const [q, k, v] = [numbers(queries * d, 1), numbers(keys * d, 2), numbers(keys * dv, 3)];
  const problem = {
    q, k, v, d, dv, scale: 0.5,
    scoreMod: (score: number, i: number, j: number) => Math.tanh(score) + 0.1 * (j - i),
    maskMod: (i: number, j: number) => j <= i && i - j < 6 && i !== 11,
  };
  const want = referenceAttention({
    q: array64(q, [1, 1, queries, d]), k: array64(k, [1, 1, keys, d]), v: array64(v, [1, 1, keys, dv]), scale: 0.5,
    mask: custom(maskMod`kv <= q && q - kv < 6 && q != 11`),
    score: [scoreHook({ id: "mod", program: scoreMod`tanh(score) + 0.1 * (kv - q)` })],
  });

  it.each([1, 4, 64])("is attention, whatever the blocks: %i", (block) => {
    const { o, lse } = flexReference({ ...problem, queryBlock: block, keyBlock: 2 * block });
    const rule = { kind: "each", absolute: 1e-13, relative: 1e-11 } as const;
    assertClose(o, want.o.data, { rule });
    expect(lse[11]).toBe(-Infinity);
    assertClose(lse.map((x) => Math.max(x, -1e3)), want.lse.data.map((x) => Math.max(x, -1e3)), { rule });
  });

  it("visits no block without an allowed cell", () => {
    expect(flexReference({ ...problem, queryBlock: 4, keyBlock: 4 }).visited).toBe(5 + 4 + 3);
  });
});
