import { full } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose, ONNX_F16 } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { generate, parseOrder, type EncoderDecoderModel, type LanguageModel, type Parameters } from "../src/index.ts";
import { lab, small, smallEncoder, smallEncoderDecoder, smallSpec } from "./parts.ts";
import { embedReference, logitsReference, stackReference, weightsOf } from "./stack-reference.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 23 });
afterAll(() => { gpu.dispose(); });

const READ = [2, 6, 3, 1, 4, 1];
const WRITTEN = [5, 2, 6, 5];
const TWO = { order: "interleaved", encoder: { layers: 3, order: "sandwich:1" }, start: 4 };

async function enlarge(parameters: Parameters, factor: number): Promise<void> {
  for (const { name, tensor } of parameters.all) if (/qkv|out|up|down|embedding/.test(name)) engine.upload(tensor, (await tensor.read()).map((x) => x * factor));
}

const numbers = async (work: () => Tensor): Promise<Float32Array> => Float32Array.from(await engine.noGrad(() => engine.scope(work)).read());
const limit = (values: readonly number[]): Tensor => engine.tensor(values, [values.length], { dtype: "i32" });

describe("an encoder", () => {
  const model = smallEncoder(engine, { position: { use: "none" } });

  it("is its reference, in which every token sees every other", async () => {
    await enlarge(model.parameters, 10);
    const { spec } = model;
    const weights = await weightsOf(model.parameters);
    const hidden = stackReference(embedReference(READ, { spec, weights }), { spec, weights, steps: parseOrder("interleaved", { layers: 2, cross: false }), mask: full() });
    assertClose(await numbers(() => model.hidden(model.ids(READ))), hidden, { label: "hidden" });
    assertClose(await numbers(() => model.logits(model.ids(READ))), logitsReference(hidden, { spec, weights }), { label: "logits" });
  });

  it("has a loss at the given targets alone", async () => {
    const logits = await numbers(() => model.logits(model.ids(READ)));
    const nats = (row: number, id: number): number => { const of = logits.subarray(7 * row, 7 * row + 7); return Math.log(of.reduce((sum, x) => sum + Math.exp(x), 0)) - of[id]!; };
    const loss = await numbers(() => model.loss(model.ids(READ), model.targets([-100, 5, -100, -100, 0, -100])));
    expect(loss[0]).toBeCloseTo((nats(1, 5) + nats(4, 0)) / 2, 5);
    expect(() => model.targets([7])).toThrow(/TENSOR_VALUE/);
  });

  it("gives a padded text what it gives that text alone", async () => {
    const alone = await numbers(() => model.hidden(model.ids(READ.slice(0, 4))));
    const ids = model.ids([...READ, ...READ], 2);
    const padded = await numbers(() => model.hidden(ids, { lengths: limit([6, 4]) }));
    assertClose(padded.subarray(6 * 12, 10 * 12), alone, { label: "hidden" });
  });
});

describe("an encoder-decoder", () => {
  const model = smallEncoderDecoder(engine, { ...TWO, position: { use: "none" }, embedding: { use: "tied", scale: 1.5, logitScale: 0.4 } });
  const encode = (ids: readonly number[]) => model.encode(model.ids(ids));

  it("has the parameters of two stacks, each with counts of its own", () => {
    const names = model.parameters.all.map(({ name }) => name.replace(/\.(norm|qkv|out|up|down)\.(weight|bias)$/, ""));
    expect([...new Set(names)]).toEqual([
      "embedding.weight",
      ...[0, 1].map((n) => `encoder.blocks.${n}.attention`), "encoder.blocks.0.feedForward", "encoder.blocks.2.attention", "encoder.blocks.1.feedForward", "encoder.blocks.2.feedForward", "encoder",
      ...[0, 1].flatMap((n) => ["attention", "cross", "feedForward"].map((kind) => `blocks.${n}.${kind}`)), "norm.weight",
    ]);
  });

  it("is what the references make of it, one stack after the other", async () => {
    await enlarge(model.parameters, 10);
    const { spec } = model;
    const weights = await weightsOf(model.parameters);
    const memory = stackReference(embedReference(READ, { spec, weights }), { spec, weights, steps: parseOrder("sandwich:1", { layers: 3, cross: false }), prefix: "encoder.", mask: full() });
    const hidden = stackReference(embedReference([4, ...WRITTEN], { spec, weights }), { spec, weights, steps: parseOrder("interleaved", { layers: 2, cross: true }), memory });
    assertClose(await numbers(() => encode(READ).source), memory, { label: "memory" });
    assertClose(await numbers(() => model.logits(encode(READ), model.ids([4, ...WRITTEN]))), logitsReference(hidden, { spec, weights }), { label: "logits" });
  });

  it("reads its targets one place later, behind the start id, which stands for those that do not count", async () => {
    expect([...(await numbers(() => model.shifted(model.targets([5, 2, -100, 6, 1, 3], 2))))]).toEqual([4, 5, 2, 4, 6, 1]);
    const given = await numbers(() => model.loss(model.ids(READ), model.targets(WRITTEN), { inputs: model.ids([4, 5, 2, 6]) }));
    expect(await numbers(() => model.loss(model.ids(READ), model.targets(WRITTEN)))).toEqual(given);
  });

  it("has the gradient of its loss in every parameter", async () => {
    const loss = (): Tensor => engine.scope(() => model.loss(model.ids(READ, 2), model.targets(WRITTEN, 2)));
    engine.scope(() => { loss().backward(); });
    for (const { name, tensor } of model.parameters.trainable) {
      const before = Float32Array.from(await tensor.read());
      const gradient = Float32Array.from(await tensor.grad!.read());
      const square = gradient.reduce((sum, g) => sum + g * g, 0);
      const step = 0.004 / Math.sqrt(square || 1);
      const shifted = (s: number): Promise<number> => { engine.upload(tensor, before.map((x, i) => x + s * gradient[i]!)); return engine.noGrad(loss).item(); };
      const slope = ((await shifted(step)) - (await shifted(-step))) / (2 * step);
      engine.upload(tensor, before);
      if (square > 1e-4) expect(Math.abs(slope - square) / square, name).toBeLessThan(0.03);
    }
    model.parameters.zeroGrad();
  });

  it("does not see what a memory is padded with", async () => {
    const alone = await numbers(() => model.logits(encode(READ.slice(0, 4)), model.ids([4, 5])));
    for (const limits of [{ lengths: limit([6, 4]) }, { starts: limit([0, 2]) }]) {
      const padded = "starts" in limits ? [...READ, 0, 0, ...READ.slice(0, 4)] : [...READ, ...READ];
      const both = await numbers(() => model.logits(model.encode(model.ids(padded, 2), limits), model.ids([4, 5, 4, 5], 2)));
      assertClose(both.subarray(2 * 7), alone, { label: "logits" });
    }
  });

  it("decodes beside a memory, whose keys and values are made once, to the logits of the whole text", async () => {
    const ids = [4, ...WRITTEN];
    const whole = await numbers(() => model.logits(encode(READ), model.ids(ids)));
    const before = gpu.stats.liveBytes;
    const view = engine.noGrad(() => engine.scope(() => model.decoder(encode(READ))));
    const cache = view.createCache({ batch: 1, kind: "static" });
    const parts = [...(await view.prefill(view.ids(ids.slice(0, 2)), { cache }).read())];
    for (const id of ids.slice(2)) parts.push(...(await numbers(() => view.logits(view.ids([id]), { cache }))));
    assertClose(parts, whole.subarray(7), { label: "logits" });
    // Two cross-attentions, keys and values of 2 heads of 4 features.
    expect(view.bytes).toBe(2 * 2 * READ.length * 2 * 4 * 4);
    for (const layer of cache) layer.dispose();
    view.dispose();
    expect(gpu.stats.liveBytes - before).toBeLessThanOrEqual(8 * 512);
    expect(() => view.logits(view.ids([1, 2], 2))).toThrow(/MODEL_MEMORY.*2 rows of ids beside a memory of 1/s);
  });

  it("generates by replayed steps what it generates by eager ones", async () => {
    const view: LanguageModel & { dispose(): void } = engine.noGrad(() => engine.scope(() => model.decoder(encode(READ))));
    const all = async (replay: boolean): Promise<number[]> => {
      const ids: number[] = [];
      for await (const id of generate(view, [model.start], { tokens: 6, temperature: 0, replay })) ids.push(id);
      return ids;
    };
    expect(await all(true)).toEqual(await all(false));
    view.dispose();
  });

  it("in halves, whose cross-attention takes the rows of its weights apart, is close to itself", async () => {
    const halves = lab.build(model.spec, engine, { dtype: "f16", empty: true }) as EncoderDecoderModel;
    for (const { name, tensor } of model.parameters.all) engine.upload(halves.parameters.get(name)!.tensor, await tensor.read());
    const logits = (of: EncoderDecoderModel) => numbers(() => of.logits(of.encode(of.ids(READ)), of.ids([4, ...WRITTEN])));
    assertClose(await logits(halves), await logits(model), { label: "logits", rule: ONNX_F16 });
    halves.dispose();
  });

  it("explains the kernels of both stacks, by name", () => {
    expect(model.explain()).toMatch(/^encoder-decoder: 2 layers.*\nencoder self-attention: kernel 'reference'.*mask full.*\nself-attention: kernel.*mask causal.*\ncross-attention: kernel/s);
  });

  it("refuses a start outside the vocabulary, and an order that leaves the encoder out", () => {
    expect(() => smallEncoderDecoder(engine, { start: 7 })).toThrow(/CONFIG_RANGE.*start is 7/s);
    expect(() => smallEncoderDecoder(engine, { order: "(sf)2" })).toThrow(/CONFIG_ORDER/);
    expect(() => small(engine, { start: 1 })).toThrow(/CONFIG_UNKNOWN_KEY.*'start'/s);
  });
});

it.each([{ architecture: "encoder" }, { architecture: "encoder-decoder", ...TWO }, { architecture: "encoder-decoder" }])("a spec survives JSON: %j", (more) => {
  const spec = lab.resolve(smallSpec(more));
  expect(lab.resolve(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
});
