import { and, array64, capture, causal, createLab, custom, document, full, maskMod, not, prefix, referenceAttention, referenceGradients, scoreHook, scoreMod, window, type Mask, type QkHook, type ScoreHook } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { rope } from "@polyhead/pos-rope";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, FORWARD, GRADIENT, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { attentionStages, reference } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const W = 3;
const slopes = capture(Float32Array.of(-0.5, -0.25, -0.125, -0.0625), [4], { name: "slopes" });
const table = capture(uniform(4 * 9, 5), [4, 9], { name: "table", learned: true });
const alibi = scoreHook({ id: "alibi", program: scoreMod`score + ${slopes}[h] * (q - kv)` });
const softcap = scoreHook({ id: "softcap", program: scoreMod(({ score }) => score.div(2).tanh().mul(2)) });
const relative = scoreHook({ id: "relative", program: scoreMod`score + ${table}[h, clamp(kv - q, -4, 4) + 4]` });
const ids = document(Int32Array.from({ length: 128 }, (_, i) => Math.floor(i / 5)));

interface Case {
  readonly name: string;
  readonly B?: number;
  readonly Hq?: number;
  readonly Hkv?: number;
  readonly Tq: number;
  readonly Tk?: number;
  readonly D: number;
  readonly Dv?: number;
  readonly mask: Mask;
  readonly score?: readonly ScoreHook[];
  readonly rotary?: boolean;
  readonly bias?: boolean;
  readonly qOffset?: number;
  readonly starts?: readonly number[];
  readonly lengths?: readonly number[];
}

const CASES: readonly Case[] = [
  { name: "full, one query and one key", Tq: 1, D: 8, mask: full() },
  { name: "causal with GQA and an odd head", Hq: 4, Hkv: 2, Tq: 5, D: 7, mask: causal() },
  { name: "causal MQA, longer than a workgroup", Hq: 4, Hkv: 1, Tq: 100, D: 8, mask: causal() },
  { name: "chunked prefill: fewer queries than keys, bottom-right", B: 2, Tq: 6, Tk: 63, D: 8, mask: causal(), qOffset: 57 },
  { name: "more queries than keys, values of another size", Tq: 9, Tk: 4, D: 8, Dv: 5, mask: full() },
  { name: "sliding window", Tq: 20, D: 8, mask: window(W) },
  { name: "prefix", Tq: 11, D: 8, mask: prefix(4) },
  { name: "documents, causal", Tq: 23, D: 8, mask: and(causal(), ids) },
  { name: "a mask of one's own that leaves rows empty", Tq: 7, D: 8, mask: custom(maskMod`kv < q - 1`) },
  { name: "not causal", Tq: 7, D: 8, mask: not(causal()) },
  { name: "rotary, soft cap and then ALiBi", Hq: 4, Hkv: 2, Tq: 13, D: 8, mask: causal(), score: [softcap, alibi], rotary: true },
  { name: "a learned relative table, soft cap after it, bias", Hq: 4, Tq: 9, D: 8, mask: causal(), score: [relative, softcap], bias: true },
  { name: "left and right padding that holds NaN", B: 2, Tq: 10, D: 8, mask: causal(), starts: [3, 0], lengths: [10, 6] },
  { name: "the same, keys in fours, from the middle of a group", B: 3, Tq: 12, D: 8, mask: causal(), starts: [3, 0, 12], lengths: [12, 6, 12] },
  { name: "a window on both sides, keys in fours and later than the queries", Tq: 5, Tk: 16, D: 8, mask: window(2, 3), qOffset: -1 },
  { name: "prefix and window, keys in fours", Tq: 12, D: 8, mask: and(prefix(5), window(6, 6)) },
];

const positionLayer = rope.create({}, { width: 32, layers: 1, context: 128, vocab: 2, dropout: 0, causal: true, heads: 4, headDim: 8 });
const rotaryHook = positionLayer.hooks[0] as QkHook<Tensor>;

describe("the reference kernel", () => {
  for (const one of CASES) {
    it(`equals float64 attention, outputs and gradients: ${one.name}`, async () => {
      const { B = 1, Hq = 2, Hkv = Hq, Tq, Tk = Tq, D, Dv = D, mask, score = [], rotary = false, qOffset = 0 } = one;
      const make = (shape: readonly number[], seed: number): { readonly shape: readonly number[]; readonly data: Float32Array } => ({ shape, data: uniform(shape.reduce((a, b) => a * b, 1), seed).map((x) => 2 * x) });
      const raw = { q: make([B, Hq, Tq, D], 1), k: make([B, Hkv, Tk, D], 2), v: make([B, Hkv, Tk, Dv], 3) };
      for (let b = 0; b < B; b++) {
        // What padding holds must reach neither outputs nor gradients.
        const padding = [...Array.from({ length: one.starts?.[b] ?? 0 }, (_, j) => j), ...Array.from({ length: Tk }, (_, j) => j).slice(one.lengths?.[b] ?? Tk)];
        for (const j of padding) for (let h = 0; h < Hkv; h++) { raw.k.data.fill(NaN, ((b * Hkv + h) * Tk + j) * D, ((b * Hkv + h) * Tk + j + 1) * D); raw.v.data.fill(NaN, ((b * Hkv + h) * Tk + j) * Dv, ((b * Hkv + h) * Tk + j + 1) * Dv); }
      }
      const qk = rotary ? [rotaryHook] : [];
      const biasData = one.bias === true ? make([1, Hq, Tq, Tk], 4) : undefined;
      const inputs = {
        q: array64(raw.q.data, raw.q.shape), k: array64(raw.k.data, raw.k.shape), v: array64(raw.v.data, raw.v.shape), mask, score, qk, qOffset,
        ...(biasData && { bias: array64(biasData.data, biasData.shape) }),
        ...(one.starts && { starts: one.starts }),
        ...(one.lengths && { lengths: one.lengths }),
      };
      const want = referenceAttention(inputs);
      const dO = array64(uniform(want.o.data.length, 6), want.o.shape);
      const dLse = array64(uniform(want.lse.data.length, 7), want.lse.shape);
      const gradients = referenceGradients(inputs, dO, dLse, want);

      const leaf = ({ data, shape }: { readonly data: Float32Array; readonly shape: readonly number[] }): Tensor => engine.tensor(data, shape, { requiresGrad: true });
      const [q, k, v] = [leaf(raw.q), leaf(raw.k), leaf(raw.v)];
      const bias = biasData && leaf(biasData);
      const learned = leaf({ data: Float32Array.from(table.data), shape: table.shape });
      const limit = (rows: readonly number[] | undefined): Tensor | undefined => rows && engine.tensor(rows, [B], { dtype: "i32" });
      const [starts, lengths] = [limit(one.starts), limit(one.lengths)];
      const run = () => reference.run({
        q, k, v, mask, scale: 1 / Math.sqrt(D), qOffset, kvOffset: 0, dropout: 0,
        qk: rotary ? [{ hook: rotaryHook as never, params: {} }] : [],
        score: score.map((hook) => ({ hook, params: { table: learned } })),
        ...(bias && { bias }), ...(starts && { starts }), ...(lengths && { lengths }),
      });
      const { o, lse } = engine.scope(() => {
        const out = run();
        out.o.backward(engine.tensor(Float32Array.from(dO.data), dO.shape));
        return { o: out.o, lse: out.lse };
      });
      assertClose(await o.read(), want.o.data, { label: "o", shape: want.o.shape });
      assertClose(await lse.read(), want.lse.data, { label: "lse", shape: want.lse.shape });
      expect(await o.read()).toEqual(await engine.noGrad(run).o.read());

      // The gradient of both outputs: that of o has run, that of lse comes from a second pass.
      engine.scope(() => { run().lse.backward(engine.tensor(Float32Array.from(dLse.data), dLse.shape)); });
      assertClose(await q.grad!.read(), gradients.q.data, { rule: GRADIENT, label: "dq" });
      assertClose(await k.grad!.read(), gradients.k.data, { rule: GRADIENT, label: "dk" });
      assertClose(await v.grad!.read(), gradients.v.data, { rule: GRADIENT, label: "dv" });
      if (bias) assertClose(await bias.grad!.read(), gradients.bias!.data, { rule: GRADIENT, label: "dbias" });
      if (score.includes(relative)) assertClose(await learned.grad!.read(), gradients.captures.get(table)!.data, { rule: GRADIENT, label: "dtable" });
    });
  }

  it("shows the scores at every stage", async () => {
    const [q, k, v] = [1, 2, 3].map((seed) => engine.tensor(uniform(2 * 6 * 8, seed), [1, 2, 6, 8])) as [Tensor, Tensor, Tensor];
    const got = attentionStages({ q, k, v, mask: causal(), scale: 0.5, qOffset: 0, kvOffset: 0, qk: [], score: [{ hook: softcap, params: {} }], dropout: 0 });
    const data = async (x: Tensor) => array64(Float64Array.from(await x.read()), x.shape);
    const { stages } = referenceAttention({ q: await data(q), k: await data(k), v: await data(v), mask: causal(), scale: 0.5, score: [softcap] }) as unknown as { stages: Record<"raw" | "modified" | "masked" | "probabilities", { data: Float64Array }> };
    for (const name of ["raw", "modified", "masked", "probabilities"] as const) assertClose(await got[name].read(), stages[name].data, { rule: FORWARD, label: name });
  });

  it("is planned for anything, with hooks where the layer and the kernel want them", () => {
    const problem = { heads: 4, kvHeads: 2, headDimQK: 8, headDimV: 8, dtype: "f32", mask: causal(), qk: [rotaryHook], score: [softcap, alibi], backward: true, cache: "none", dropout: false, padded: false } as const;
    const plan = createLab(reference).plan(problem, gpu.caps);
    expect(plan.how).toEqual({ rope: "prepass", softcap: "inline", alibi: "inline" });
    expect(plan.explain()).toMatch(/reference/);
  });
});
