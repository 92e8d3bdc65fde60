import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { generate } from "../src/index.ts";
import { lab, small } from "./parts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 5 });
afterAll(() => { gpu.dispose(); });

const IDS = [3, 1, 4, 1, 5, 2, 6, 5];
const TARGETS = [1, 4, 1, 5, 2, 6, 5, 3];

describe("a decoder", () => {
  for (const more of [
    {},
    { position: { use: "learned" }, norm: { use: "layer" }, embedding: { use: "untied" }, feedForward: { use: "gelu" } },
    { position: { use: "sinusoidal" }, norm: { use: "layer", place: "post" }, feedForward: { use: "relu" } },
    { position: { use: "none" }, feedForward: { use: "gelu-tanh", bias: false }, attention: { use: "mha", heads: 2, kvHeads: 1, bias: false } },
  ]) {
    it(`has the gradient of its loss in every parameter: ${JSON.stringify(more)}`, async () => {
      const model = small(engine, more);
      const loss = (): Tensor => engine.scope(() => model.loss(model.ids(IDS, 2), model.ids(TARGETS, 2)));
      engine.scope(() => { loss().backward(); });
      const at = async (): Promise<number> => engine.noGrad(loss).item();
      for (const { name, tensor } of model.parameters.trainable) {
        const before = Float32Array.from(await tensor.read());
        const gradient = await tensor.grad!.read();
        // Along the gradient itself the loss changes fastest, so f32 differences are at their best there.
        const square = [...gradient].reduce((sum, g) => sum + g * g, 0);
        const step = 0.01 / Math.sqrt(square || 1);
        const shifted = async (s: number): Promise<number> => { engine.upload(tensor, before.map((x, i) => x + s * gradient[i]!)); return at(); };
        const slope = ((await shifted(step)) - (await shifted(-step))) / (2 * step);
        engine.upload(tensor, before);
        if (square > 1e-6) expect(Math.abs(slope - square) / square, name).toBeLessThan(0.03);
      }
      model.dispose();
    });
  }

  it("frees everything on the device when it is disposed of", () => {
    const before = gpu.stats.liveBytes;
    const model = small(engine);
    engine.scope(() => { model.loss(model.ids(IDS, 2), model.ids(TARGETS, 2)).backward(); });
    model.dispose();
    // Captured tables (cosines and sines) stay with their captures.
    expect(gpu.stats.liveBytes - before).toBeLessThanOrEqual(2 * 512);
  });

  it("is the same model for the same seed, and another for another", async () => {
    const logits = async (seed: number): Promise<number[]> => {
      const model = small(createEngine(gpu, { seed }));
      return [...(await model.engine.noGrad(() => model.logits(model.ids(IDS))).read())];
    };
    expect(await logits(1)).toEqual(await logits(1));
    expect(await logits(1)).not.toEqual(await logits(2));
  });

  it("decodes on caches to the logits of the whole sequence", async () => {
    const model = small(engine, { position: { use: "learned" } });
    const whole = await engine.noGrad(() => model.logits(model.ids(IDS))).read();
    const cache = model.createCache({ batch: 1 });
    const parts: number[] = [];
    for (const part of [IDS.slice(0, 3), IDS.slice(3, 5), [IDS[5]!], [IDS[6]!], [IDS[7]!]]) {
      parts.push(...(await engine.noGrad(() => model.logits(model.ids(part), { cache })).read()));
    }
    assertClose(parts, whole, { label: "logits" });
  });

  it("explains what it is made of and what it runs on", () => {
    expect(small(engine).explain()).toMatch(/decoder: 2 layers of width 12, [\d,]+ parameters; attention 'mha', position 'rope', norm 'rms', embedding 'tied'\n.*reference/s);
  });

  it("refuses ids and lengths that it cannot take, naming them", () => {
    const model = small(engine);
    expect(() => model.ids([1, 7])).toThrow(/TENSOR_VALUE.*id 7 at position 1; .*0 to 6/s);
    expect(() => model.logits(model.ids(new Array<number>(10).fill(1)))).toThrow(/MODEL_CONTEXT.*10 positions.*holds 9/s);
    expect(() => model.logits(engine.tensor([1, 2], [2], { dtype: "u32" }))).toThrow(/MODEL_IDS.*\[2\]/s);
  });
});

describe("a spec", () => {
  it("with an unknown key is answered with the nearest known one, from JSON too", () => {
    expect(() => small(engine, { layer: 3 })).toThrow(/CONFIG_UNKNOWN_KEY.*'layer'.*did you mean 'layers'/s);
    expect(() => small(engine, { norm: { use: "rms", plaice: "pre" } })).toThrow(/CONFIG_UNKNOWN_KEY.*norm\.plaice.*did you mean 'place'/s);
    expect(() => small(engine, { position: { use: "rpoe" } })).toThrow(/LAB_UNKNOWN.*'rpoe'.*did you mean 'rope'/s);
    expect(() => small(engine, { feedForward: { use: "swiglo" } })).toThrow(/CONFIG_CHOICE.*swiglo.*did you mean 'swiglu'/s);
  });

  it("survives JSON", () => {
    const { spec } = small(engine);
    expect(lab.resolve(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
  });
});

describe("generation", () => {
  const all = async (options: Parameters<typeof generate>[2], prompt: readonly number[] = [3, 1]): Promise<number[]> => {
    const ids: number[] = [];
    for await (const id of generate(model, prompt, options)) ids.push(id);
    return ids;
  };
  const model = small(engine);

  it("at temperature 0 takes the likeliest token of the whole sequence each time", async () => {
    const ids = [3, 1];
    for (let i = 0; i < 5; i++) {
      const logits = await engine.noGrad(() => model.logits(model.ids(ids))).read();
      const last = [...logits.subarray(-7)];
      ids.push(last.indexOf(Math.max(...last)));
    }
    expect(await all({ tokens: 5, temperature: 0 })).toEqual(ids.slice(2));
  });

  it("goes on past the context, repeats itself for the same seed, and frees its caches", async () => {
    const before = gpu.stats.liveBytes;
    const text = await all({ tokens: 25, seed: 1 });
    expect(text).toHaveLength(25);
    expect(await all({ tokens: 25, seed: 1 })).toEqual(text);
    expect(await all({ tokens: 25, seed: 2 })).not.toEqual(text);
    expect(gpu.stats.liveBytes).toBeLessThanOrEqual(before);
  });

  it("with topK 1 is greedy", async () => {
    expect(await all({ tokens: 6, topK: 1 })).toEqual(await all({ tokens: 6, temperature: 0 }));
  });

  it("refuses an empty prompt", async () => {
    await expect(all({ tokens: 5 }, [])).rejects.toThrow(/MODEL_PROMPT/);
  });
});
