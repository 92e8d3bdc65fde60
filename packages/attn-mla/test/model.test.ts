import { flash } from "@polyhead/attn-flash";
import { reference } from "@polyhead/attn-mha";
import { createLab, type CacheOptions } from "@polyhead/core";
import { untied } from "@polyhead/embed-untied";
import { openNodeGpu } from "@polyhead/gpu-node";
import { decoder, generate, type DecoderModel } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { assertClose, GRADIENT } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { mla } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 2 });
afterAll(() => { gpu.dispose(); });

const lab = createLab(mla, flash, reference, rope, rms, untied, decoder);
const spec = {
  layers: 2, width: 16, vocab: 11, context: 24,
  attention: { use: "mla", heads: 2, kvRank: 8, queryRank: 8, nopeDim: 8, ropeDim: 4, valueDim: 8 },
  position: { use: "rope", layout: "interleaved" }, norm: { use: "rms" }, embedding: { use: "untied", std: 1 }, feedForward: { use: "swiglu", bias: false },
} as const;

const prompt = [3, 1, 4, 1, 5];
const continued = async (model: DecoderModel, replay: boolean): Promise<number[]> => {
  const all: number[] = [];
  for await (const id of generate(model, prompt, { tokens: 10, temperature: 0, replay })) all.push(id);
  return all;
};

describe("a model of latent attention", () => {
  for (const kernel of ["flash", "reference"] as const) {
    it(`generates on '${kernel}' what whole passes say, replayed or not`, async () => {
      const model = lab.model({ ...spec, kernel }, engine);
      const eager = await continued(model, false);
      const before = gpu.stats.replays;
      expect(await continued(model, true)).toEqual(eager);
      expect(gpu.stats.replays - before).toBeGreaterThanOrEqual(7);
      const text = [...prompt, ...eager];
      const logits = await engine.noGrad(() => model.logits(model.ids(text))).read();
      const likeliest = Array.from({ length: eager.length }, (_, i) => {
        const row = Array.from(logits).slice((prompt.length - 1 + i) * spec.vocab, (prompt.length + i) * spec.vocab);
        return row.indexOf(Math.max(...row));
      });
      expect(eager).toEqual(likeliest);
      model.dispose();
    });
  }

  it("decodes on the fused kernel from halves and from pages as from whole rows", async () => {
    const model = lab.model({ ...spec, kernel: "flash" }, engine);
    const decoded = async (options: Pick<CacheOptions, "kind" | "dtype">): Promise<number[]> => {
      const cache = model.createCache({ batch: 1, pageSize: 16, ...options });
      const all = Array.from(await model.prefill(model.ids(prompt), { cache }).read());
      for (const id of [9, 2]) all.push(...(await engine.noGrad(() => model.logits(model.ids([id]), { cache })).read()));
      for (const layer of cache) layer.dispose();
      return all;
    };
    const rows = Float64Array.from(await decoded({ kind: "static" }));
    assertClose(await decoded({ kind: "paged" }), rows);
    assertClose(await decoded({ kind: "dense", dtype: "f16" }), rows, { rule: { kind: "whole", relative: 2e-3 } });
    model.dispose();
  });

  it("plans absorbed steps as what they are: one key head as wide as the cache, its values a part of it", () => {
    const model = lab.model(spec, engine);
    const problem = { ...model.plan.problem, kvHeads: 1, headDimQK: 12, headDimV: 8, backward: false, cache: "dense", sizes: { batch: 1, queries: 1, keys: 24 } } as const;
    expect(model.explain()).toContain("d12/8");
    expect(lab.plan(problem, gpu.caps).explain()).toMatch(/kernel 'flash'.*group2 q1 k.* d12\/8/s);
    model.dispose();
  });

  it("has the same gradients on the fused kernel as on the unfused one", async () => {
    const gradients: Record<string, Float32Array>[] = [];
    for (const kernel of ["flash", "reference"] as const) {
      const model = lab.model({ ...spec, kernel }, createEngine(gpu, { seed: 2 }));
      model.loss(model.ids(prompt), model.ids([1, 4, 1, 5, 9])).backward();
      gradients.push(Object.fromEntries(await Promise.all(model.parameters.trainable.map(async ({ name, tensor }) => [name, (await tensor.grad!.read()) as Float32Array] as const))));
      model.dispose();
    }
    const [fused, unfused] = gradients as [Record<string, Float32Array>, Record<string, Float32Array>];
    for (const [name, gradient] of Object.entries(unfused)) assertClose(fused[name]!, Float64Array.from(gradient), { rule: GRADIENT });
    expect(Object.keys(unfused)).toContain("blocks.1.attention.queryNorm.weight");
  });
});
