import { resolveConfig, type QkPairHook } from "@polyhead/core";
import { describe, expect, it } from "vitest";
import { frequencies, rope, rotate, ropeFrequencies, unrotate, type RopeConfig, type RopeScaling } from "../src/index.ts";

const dims = { width: 32, layers: 1, context: 128, vocab: 2, dropout: 0, causal: true, heads: 2, headDim: 8 };
const scaled = (scaling: RopeScaling, more: { readonly base?: number; readonly rotaryDim?: number; readonly context?: number } = {}) => ropeFrequencies({ base: 10_000, rotaryDim: 8, context: 128, ...more, scaling });
const near = (got: ArrayLike<number>, want: readonly number[]): void => {
  expect(got).toHaveLength(want.length);
  want.forEach((value, i) => { expect(got[i]! / value).toBeCloseTo(1, 12); });
};

describe("frequencies under a scaling", () => {
  it("linear: a position counts a factor less", () => {
    near(scaled({ ropeType: "linear", factor: 4 }).at(7), [0.25, 0.025, 0.0025, 0.00025]);
  });

  it("ntk: the fastest stays and the slowest is divided by the factor", () => {
    near(scaled({ ropeType: "ntk", factor: 4 }).at(0), [1, 0.1 / 4 ** (1 / 3), 0.01 / 4 ** (2 / 3), 0.00025]);
  });

  it("dynamic: unchanged up to the trained length, then those of a sequence that ends with the position", () => {
    const { at } = scaled({ ropeType: "dynamic", factor: 2, originalMaxPositionEmbeddings: 32 });
    near(at(31), [1, 0.1, 0.01, 0.001]);
    // 64 tokens: a factor of 2 · 64/32 − 1 = 3.
    near(at(63), [1, 0.06933612743506347, 0.004807498567691361, 0.001 / 3]);
    expect(at(32)[3]).toBeLessThan(at(31)[3]!);
  });

  it("dynamic for a length: those of Hugging Face's pass over as many tokens, at every position", () => {
    const { at } = scaled({ ropeType: "dynamic", factor: 2, originalMaxPositionEmbeddings: 32, length: 64 });
    near(at(0), [1, 0.06933612743506347, 0.004807498567691361, 0.001 / 3]);
    expect(at(127)).toBe(at(0));
  });

  it("yarn: pairs that turn often stay, pairs that hardly turn are divided, and a ramp between", () => {
    // d = 16, L = 4096: the ramp runs from pair 2 to pair 6.
    const theta = scaled({ ropeType: "yarn", factor: 4, originalMaxPositionEmbeddings: 4096 }, { rotaryDim: 16 }).at(0);
    near(theta, [1, 0.31622776601683794, 0.1, 0.02569350598886808, 0.00625, 0.0013834964763236657, 0.00025, 7.905694150420948e-5]);
    const fine = scaled({ ropeType: "yarn", factor: 4, originalMaxPositionEmbeddings: 4096, truncate: false }, { rotaryDim: 16 }).at(0);
    near(fine.slice(2, 6), [0.1, 0.02861360881198889, 0.006556971521129435, 0.0012856320307266878]);
  });

  it("yarn: for heads of 128 trained on 4096, the paper's Llama 2, the ramp runs from pair 20 to pair 46", () => {
    const plain = frequencies(10_000, 128);
    const share = scaled({ ropeType: "yarn", factor: 16, originalMaxPositionEmbeddings: 4096 }, { rotaryDim: 128 }).at(0).map((theta, i) => theta / plain[i]!);
    expect([share[20], share[46]]).toEqual([1, 1 / 16]);
    expect(share[21]).toBeLessThan(1);
    expect(share[45]).toBeGreaterThan(1 / 16);
    expect(share[33]).toBeCloseTo((1 + 1 / 16) / 2, 12);
  });

  it("yarn: the attention factor is 0.1 ln s + 1, or DeepSeek's quotient, or as given; the factor follows from the context", () => {
    const of = (more: object): number => scaled({ ropeType: "yarn", originalMaxPositionEmbeddings: 8, ...more }).attentionFactor;
    expect(of({})).toBeCloseTo(1.2772588722239782, 14); // 128 / 8 = 16
    expect(of({ factor: 40, mscale: 1, mscaleAllDim: 0.707 })).toBeCloseTo(1.0857263992561355, 14);
    expect(of({ factor: 40, mscale: 0.707, mscaleAllDim: 0.707 })).toBe(1);
    expect(of({ factor: 40, mscaleAllDim: 1 })).toBeCloseTo(0.1 * Math.log(40) + 1, 14);
    expect(of({ attentionFactor: 0.5 })).toBe(0.5);
    expect(of({ factor: 1 })).toBe(1);
  });

  it("llama3: Llama 3.1 leaves pairs 0 to 28 alone, divides those from 35 on by 8, and mixes the six between", () => {
    const llama = { base: 500_000, rotaryDim: 128 };
    const plain = frequencies(llama.base, llama.rotaryDim);
    const { at, attentionFactor } = scaled({ ropeType: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositionEmbeddings: 8192 }, llama);
    const share = at(0).map((theta, i) => theta / plain[i]!);
    expect(share.slice(0, 29).every((x) => x === 1)).toBe(true);
    near(share.slice(29, 35), [0.8281684118371798, 0.6437431331275951, 0.4935071227319711, 0.3711222795178447, 0.2714254770727862, 0.19021074364065016]);
    expect(share.slice(35).every((x) => x === 1 / 8)).toBe(true);
    expect(attentionFactor).toBe(1);
  });

  it("longrope: a divisor for each pair, another beyond the trained length, and a factor for attention", () => {
    const scaling = { ropeType: "longrope", shortFactor: [1, 1, 2, 2], longFactor: [1, 4, 8, 16], originalMaxPositionEmbeddings: 64 } as const;
    const { at, attentionFactor } = scaled(scaling);
    near(at(63), [1, 0.1, 0.005, 0.0005]);
    near(at(64), [1, 0.025, 0.00125, 0.0000625]);
    expect(attentionFactor).toBeCloseTo(Math.sqrt(1 + Math.log(2) / Math.log(64)), 14);
    near(scaled({ ...scaling, length: 65 }).at(0), [1, 0.025, 0.00125, 0.0000625]);
    near(scaled({ ...scaling, length: 64 }).at(100), [1, 0.1, 0.005, 0.0005]);
    // Phi-3 mini: 4096 tokens stretched to 131,072.
    expect(scaled({ ...scaling, originalMaxPositionEmbeddings: 4096 }, { context: 131_072 }).attentionFactor).toBeCloseTo(1.1902380714238083, 14);
  });
});

describe("a scaled rotation", () => {
  const config: RopeConfig = { scaling: { ropeType: "yarn", factor: 4, originalMaxPositionEmbeddings: 32 } };
  const theta = scaled({ ropeType: "yarn", factor: 4, originalMaxPositionEmbeddings: 32 });
  const rotation = { base: 10_000, layout: "half", rotaryDim: 8, theta } as const;

  it("multiplies what it turns by the attention factor, and its gradient too", () => {
    const x = Float64Array.from({ length: 8 }, (_, i) => i + 1);
    const norm = (v: Float64Array): number => Math.hypot(...v);
    expect(norm(rotate(x, 77, rotation)) / norm(x)).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
    const back = unrotate(rotate(x, 77, rotation), 77, rotation);
    x.forEach((value, i) => { expect(back[i]! / theta.attentionFactor ** 2).toBeCloseTo(value, 10); });
  });

  it("is what the hook does, by its tables and by its law", () => {
    const hook = rope.create(config, dims).hooks[0] as QkPairHook;
    const x = Float64Array.from({ length: 8 }, (_, i) => Math.sin(i));
    expect(hook.reference(x, 100, 0)).toEqual(rotate(x, 100, rotation));
    const [cos] = hook.program.captures;
    expect(cos!.data[100 * 4]).toBe(theta.attentionFactor * Math.cos(100));
  });
});

describe("a config of scaling", () => {
  const create = (scaling: object): unknown => rope.create(resolveConfig("position", rope.options, { scaling }), dims);

  it("comes from JSON with Hugging Face's names", () => {
    for (const scaling of [
      { ropeType: "default" },
      { ropeType: "longrope", shortFactor: [1, 1, 1, 1], longFactor: [1, 2, 3, 4], originalMaxPositionEmbeddings: 64 },
      { ropeType: "yarn", factor: 4, originalMaxPositionEmbeddings: 32, betaFast: 16, betaSlow: 2, truncate: false },
    ]) expect(create(JSON.parse(JSON.stringify(scaling)) as object)).toHaveProperty("hooks");
  });

  it("is refused where a parameter is missing, belongs to another method, or has not one number a pair", () => {
    expect(() => create({ ropeType: "yaarn" })).toThrow(/CONFIG_CHOICE.*position\.scaling\.ropeType.*did you mean 'yarn'/s);
    expect(() => create({ ropeType: "linear" })).toThrow(/ROPE_SCALING.*'linear' has no factor/s);
    expect(() => create({ ropeType: "linear", factor: 2, betaFast: 3 })).toThrow(/ROPE_SCALING.*betaFast means nothing to 'linear'/s);
    expect(() => create({ ropeType: "yarn" })).toThrow(/ROPE_SCALING.*neither factor nor/s);
    expect(() => create({ ropeType: "llama3", factor: 8, lowFreqFactor: 4, highFreqFactor: 4, originalMaxPositionEmbeddings: 64 })).toThrow(/ROPE_SCALING.*highFreqFactor is 4/s);
    expect(() => create({ ropeType: "longrope", shortFactor: [1], longFactor: [1, 2, 3, 4], originalMaxPositionEmbeddings: 64 })).toThrow(/ROPE_SCALING.*shortFactor has 1 numbers for 4 pairs/s);
    expect(() => rope.create({ rotaryDim: 2, scaling: { ropeType: "ntk", factor: 2 } }, dims)).toThrow(/ROPE_SCALING.*at least 4/s);
  });
});
