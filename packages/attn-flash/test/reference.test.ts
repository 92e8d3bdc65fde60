import { array64, causal, referenceAttention, referenceGradients } from "@polyhead/core";
import { assertClose, uniform } from "@polyhead/testkit";
import { describe, expect, it } from "vitest";
import { flashReference, flashReferenceGradients } from "../src/reference.ts";

const EXACT = { kind: "each", absolute: 1e-13, relative: 1e-11 } as const;
const f64 = (n: number, seed: number): Float64Array => Float64Array.from(uniform(n, seed));

describe("the papers' algorithms", () => {
  const [rows, keys, d, dv] = [7, 11, 4, 3];
  const problem = { q: f64(rows * d, 1), k: f64(keys * d, 2), v: f64(keys * dv, 3), d, dv, scale: 0.5 };
  const arrays = { q: array64(problem.q, [1, 1, rows, d]), k: array64(problem.k, [1, 1, keys, d]), v: array64(problem.v, [1, 1, keys, dv]), scale: 0.5 };
  const g = f64(rows * dv, 4);

  it.each([1, 3, 11, 64])("give softmax attention and its gradients, by blocks of %i keys", (block) => {
    for (const qOffset of [0, -3]) {
      const want = { ...arrays, mask: causal(), qOffset };
      const { o, lse } = referenceAttention(want);
      const gradients = referenceGradients(want, array64(g, o.shape));
      const flash = { ...problem, block, allows: (i: number, j: number) => j <= i + qOffset };
      const got = flashReference(flash);
      assertClose(got.o, o.data, { rule: EXACT, label: "o" });
      assertClose(got.lse, lse.data, { rule: EXACT, label: "lse" });
      const back = flashReferenceGradients(flash, got, g);
      for (const name of ["q", "k", "v"] as const) assertClose(back[name], gradients[name].data, { rule: EXACT, label: `d${name}` });
    }
  });

  it("give zeros and minus infinity for a row without an allowed key", () => {
    const { o, lse } = flashReference({ ...problem, block: 4, allows: (i) => i !== 2 });
    expect([...o.subarray(2 * dv, 3 * dv)]).toEqual([0, 0, 0]);
    expect(lse[2]).toBe(-Infinity);
  });
});
