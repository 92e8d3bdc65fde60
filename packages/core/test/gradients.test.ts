import { describe, expect, it } from "vitest";
import { type Array64, type ReferenceInputs, array64, capture, causal, custom, full, maskMod, pairHook, pairMod, referenceAttention, referenceGradients, rowHook, scoreHook, scoreMod, window } from "../src/index.ts";
import { alibiHook, qkNormHook, ropeHook, softcapHook } from "./fixtures.ts";
import { randoms, worst } from "./numbers.ts";

const draw = randoms(11);
const base: ReferenceInputs = { q: draw([2, 4, 3, 4]), k: draw([2, 2, 5, 4]), v: draw([2, 2, 5, 3]), mask: full() };
const seedO = draw([2, 4, 3, 3]);
const seedLse = draw([2, 4, 3]);

/** A loss that touches every output; rows without a key have no finite lse and are left out. */
function loss(inputs: ReferenceInputs): number {
  const { o, lse } = referenceAttention(inputs);
  const ofO = o.data.reduce((sum, x, i) => sum + x * (seedO.data[i] ?? 0), 0);
  return lse.data.reduce((sum, x, i) => sum + (Number.isFinite(x) ? x * (seedLse.data[i] ?? 0) : 0), ofO);
}

/** Central differences of the loss by every number of an array that is changed in place. */
function differences(data: Float64Array, shape: readonly number[], evaluateLoss: () => number): Array64 {
  const h = 1e-5;
  const out = data.map((x, i) => {
    data[i] = x + h;
    const up = evaluateLoss();
    data[i] = x - h;
    const down = evaluateLoss();
    data[i] = x;
    return (up - down) / (2 * h);
  });
  return array64(out, shape);
}

const bias = draw([1, 4, 3, 5]);
const rowBias = draw([2, 1, 1, 5]);
const cases: readonly (readonly [string, Partial<ReferenceInputs>])[] = [
  ["nothing", {}],
  ["a causal mask with a cache", { mask: causal(), qOffset: 2 }],
  ["a window that leaves rows without keys", { mask: window(1), qOffset: 3 }],
  ["RoPE, half", { qk: [ropeHook(4)], qOffset: 1 }],
  ["RoPE, interleaved and partial, on positions of its own", { qk: [ropeHook(2, "interleaved")], qPositions: [4, 5, 6, 1, 2, 3] }],
  ["QK-norm before RoPE", { qk: [qkNormHook, ropeHook(4)] }],
  ["QK-norm after RoPE, on keys alone", { qk: [ropeHook(4), { ...qkNormHook, applies: "k" }] }],
  ["ALiBi, soft cap and ALiBi again", { score: [alibiHook, softcapHook, { ...alibiHook, id: "again" }], mask: causal(), qOffset: 2 }],
  ["a bias for every head under a soft cap", { bias, score: [softcapHook] }],
  ["a bias for every batch row", { bias: rowBias }],
  ["a float mask after a soft cap", { additiveMask: bias, score: [softcapHook] }],
  ["padding on both sides and a scale", { starts: [1, 0], lengths: [5, 3], scale: 0.3 }],
];

describe("the gradients of the reference are those of central differences", () => {
  it.each(cases)("with %s", (_, change) => {
    const inputs = { ...base, ...change };
    const gradients = referenceGradients(inputs, seedO, seedLse);
    for (const name of ["q", "k", "v", "bias", "additiveMask"] as const) {
      const array = inputs[name];
      if (array === undefined) expect(gradients[name]).toBeUndefined();
      else expect(worst(gradients[name] ?? array64([], [0]), differences(array.data, array.shape, () => loss(inputs))), name).toBeLessThan(2e-9);
    }
  });

  it("for learned captures, by head, by distance, and inside a function of the score", () => {
    const slopes = capture(Float64Array.of(0.3, -0.2, 0.5, 0.1), [4], { learned: true, name: "slopes" });
    const buckets = capture(Float64Array.from(draw([4, 5]).data), [4, 5], { learned: true, name: "buckets" });
    const cap = capture(Float64Array.of(2.5), [], { learned: true, name: "cap" });
    const score = [
      scoreHook({ id: "slopes", program: scoreMod`score + ${slopes}[h] * f32(kv - q)` }),
      scoreHook({ id: "cap", program: scoreMod`${cap} * tanh(score / ${cap})` }),
      scoreHook({ id: "buckets", program: scoreMod`score * (1.0 + ${buckets}[h, clamp(kv - q, -2, 2) + 2]) + ${buckets}[h, 0]` }),
    ];
    const inputs: ReferenceInputs = { ...base, mask: causal(), qOffset: 2, score };
    const gradients = referenceGradients(inputs, seedO, seedLse);
    for (const table of [slopes, buckets, cap]) {
      const got = gradients.captures.get(table);
      expect(worst(got ?? array64([], [0]), differences(table.data as Float64Array, table.shape, () => loss(inputs))), table.name).toBeLessThan(2e-9);
    }
  });
});

describe("the gradient of a table that a qk hook learns", () => {
  it("comes from queries and keys, before and after other hooks", () => {
    const angles = capture(Float64Array.of(0.7, -0.4), [2], { learned: true, name: "angles" });
    const program = pairMod`t = ${angles}[pair] * f32(position); x0 * cos(t) - x1 * sin(t), x0 * sin(t) + x1 * cos(t)`;
    const qk = [qkNormHook, pairHook({ id: "learned-rope", program, layout: "half", rotaryDim: 4 }), ropeHook(4)];
    const inputs = { ...base, qk, qOffset: 1 };
    const got = referenceGradients(inputs, seedO, seedLse).captures.get(angles);
    expect(worst(got ?? array64([], [0]), differences(angles.data as Float64Array, [2], () => loss(inputs)))).toBeLessThan(2e-9);
  });
});

describe("a key that nobody may see", () => {
  it("gets no gradient, and neither does a query that may see none", () => {
    const inputs = { ...base, mask: custom(maskMod`q != 1 && kv != 4`), bias, score: [softcapHook] };
    const { q, k, v, bias: dBias } = referenceGradients(inputs, seedO, seedLse);
    const row = ({ data, shape }: Array64, at: number): number[] => [...data].filter((_, i) => Math.floor(i / (shape[3] ?? 1)) % (shape[2] ?? 1) === at);
    expect([...row(q, 1), ...row(k, 4), ...row(v, 4)].every((x) => x === 0)).toBe(true);
    expect(row(dBias ?? array64([], [0]), 1).every((x) => x === 0)).toBe(true);
    expect(q.data.every(Number.isFinite)).toBe(true);
  });
});

describe("what cannot be differentiated", () => {
  it("is said", () => {
    const blind = rowHook({ id: "blind", apply: (x) => x, reference: (x) => x });
    expect(() => referenceGradients({ ...base, qk: [blind] }, seedO)).toThrow("[REF_NO_PULLBACK] qk hook 'blind' has no pullback");
    expect(() => referenceGradients(base, draw([2, 4, 3, 4]))).toThrow("[REF_SHAPE] the gradient of o is [2, 4, 3, 4]; expected [2, 4, 3, 3]");
  });
});
