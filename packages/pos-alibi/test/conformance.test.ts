import { flash } from "@polyhead/attn-flash";
import { reference } from "@polyhead/attn-mha";
import { biasOfHooks } from "@polyhead/attn-mha/kernel";
import { causal, full, type ScoreHook } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { add, cast, createEngine, mul, sum } from "@polyhead/tensor";
import { scoreHookLaws } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { alibi, alibiBias, alibiSlopes, type AlibiConfig } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const dims = { width: 48, layers: 1, context: 64, vocab: 2, dropout: 0, causal: true, heads: 6, headDim: 8 };
const hooksOf = (config: AlibiConfig): ScoreHook[] => alibi.create(config, dims).hooks as ScoreHook[];

for (const [config, mask] of [[{}, causal()], [{ symmetric: true, learned: true }, full()]] as const) {
  describe(`linear biases ${JSON.stringify(config)}`, () => {
    const laws = scoreHookLaws({
      hooks: hooksOf(config), heads: 6, mask, kernels: [flash, reference], engine, ops: { add, cast, mul, sum },
      bias: ({ q, k, score, qOffset, kvOffset, mask }) => biasOfHooks(engine, score, { shape: [...q.shape.slice(0, 3), k.shape[2]!], qOffset, kvOffset, mask }),
    });
    for (const { name, check } of laws) it(name, check);
  });
}

describe("the slopes of linear biases", () => {
  it("are the paper's for 8 heads: 1/2, 1/4, … 1/256, and for 16: roots of 1/2 and their powers", () => {
    expect([...alibiSlopes(8)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((n) => 2 ** -n));
    expect([...alibiSlopes(16)].slice(0, 3)).toEqual([Math.SQRT1_2, 0.5, 2 ** -1.5]);
  });

  it("take every other slope of the double count where heads are no power of two", () => {
    expect([...alibiSlopes(6)]).toEqual([0.25, 0.0625, 0.015625, 0.00390625, 0.5, 0.125]);
    expect([...alibiSlopes(1)]).toEqual([2 ** -8]);
    expect([...alibiSlopes(12)].slice(8)).toEqual([0, 2, 4, 6].map((h) => alibiSlopes(16)[h]));
  });

  it("end at 2^-maxBias", () => {
    expect(alibiSlopes(4, { maxBias: 4 })[3]).toBe(1 / 16);
  });

  it("favour near keys, and to both sides alike where that is asked for", () => {
    const [forward, both] = [hooksOf({})[0]!, hooksOf({ symmetric: true })[0]!];
    const at = (hook: ScoreHook, q: number, kv: number): number => hook.reference(1, { b: 0, h: 1, q, kv });
    expect(at(forward, 9, 5)).toBe(1 + alibiBias(0.0625, 9, 5));
    expect(at(both, 5, 9)).toBe(1 + alibiBias(0.0625, 5, 9, true));
    expect(at(both, 9, 5)).toBe(at(both, 5, 9));
    expect(at(forward, 9, 5)).toBeLessThan(at(forward, 9, 6));
  });

  it("are a parameter without weight decay where they are learned, one set for all layers or one a layer", () => {
    expect(hooksOf({})[0]!.params).toEqual({});
    expect(hooksOf({ learned: true })[0]!.params).toMatchObject({ slopes: { shape: [6], decay: false } });
    expect(alibi.create({ learned: true, perLayer: true }, dims).perLayer).toBe(true);
  });
});
