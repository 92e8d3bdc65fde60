import { openNodeGpu } from "@polyhead/gpu-node";
import { adamwStep, createEngine, type Tensor } from "@polyhead/tensor";
import { assertClose } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { parseOrder, type DecoderModel, type Observation } from "../src/index.ts";
import { lab, small, smallSpec } from "./parts.ts";
import { embedReference, logitsReference, stackReference, weightsOf } from "./stack-reference.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 11 });
afterAll(() => { gpu.dispose(); });

const IDS = [3, 1, 4, 1, 5, 2, 6, 5];
const WIDE = { position: { use: "none" }, embedding: { use: "tied", std: 0.7 } };
const EXPERTS = { routed: 4, active: 2, width: 6, shared: 1, scoring: "sigmoid", normalize: true, correction: true };

/** Small weights hide mistakes: every sum would be its first term. */
async function enlarge(model: DecoderModel, factor: number): Promise<void> {
  for (const { name, tensor } of model.parameters.all) if (/qkv|out|up|down|router/.test(name)) engine.upload(tensor, (await tensor.read()).map((x) => x * factor));
}

/** Orders whose gradients are checked; the mixture has a test of its own. */
const GRADIENTS = ["sandwich:1", "parallel", "[wsf]f"];
const CASES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "sandwich order, norms on both ends, every cap and scale": {
    order: "sandwich:1", norm: { use: "rms", place: "both" }, attention: { use: "mha", heads: 4, kvHeads: 2, headDim: 4, outBias: false, scale: 0.7, softcap: 0.8 },
    embedding: { use: "untied", std: 0.7, scale: 1.7, logitScale: 0.6, softcap: 0.5 }, feedForward: { use: "geglu-tanh", width: 10 },
  },
  "parallel branches on the normed stream, a norm after the embedding": { ...WIDE, order: "parallel", norm: { use: "layer", residual: "normed", embedding: true }, feedForward: { use: "reglu", width: 10 } },
  "windows among full layers, norms after the sums": { ...WIDE, order: "(wfsf)1", window: 3, norm: { use: "rms", place: "post" }, feedForward: { use: "geglu", width: 10 } },
  "branches with a norm after their sum": { ...WIDE, order: "[wsf]f", window: 2, norm: { use: "layer", place: "post" }, feedForward: { use: "silu", width: 10 } },
  "a mixture of experts": { ...WIDE, order: "(sf)1(sm)1", experts: EXPERTS, feedForward: { use: "swiglu", width: 10 } },
};

describe.each(Object.entries(CASES))("%s", (_, more) => {
  const model = small(engine, { position: { use: "none" }, ...more });

  it("is what the references make of it, one after the other", async () => {
    await enlarge(model, 12);
    const { spec } = model;
    const weights = await weightsOf(model.parameters);
    const steps = parseOrder(String(spec["order"]), { layers: spec.layers, cross: false });
    const hidden = stackReference(embedReference(IDS, { spec, weights }), { spec, weights, steps });
    assertClose(await engine.noGrad(() => model.logits(model.ids(IDS))).read(), logitsReference(hidden, { spec, weights }), { label: "logits" });
  });

  if (GRADIENTS.includes(String(more["order"]))) it("has the gradient of its loss in every parameter", async () => {
    const loss = (): Tensor => engine.scope(() => model.loss(model.ids(IDS, 2), model.targets([...IDS.slice(1), -100], 2)));
    engine.scope(() => { loss().backward(); });
    const at = (): Promise<number> => engine.noGrad(loss).item();
    for (const { name, tensor } of model.parameters.trainable) {
      const before = Float32Array.from(await tensor.read());
      const gradient = Float32Array.from(await tensor.grad!.read());
      const square = gradient.reduce((sum, g) => sum + g * g, 0);
      const step = 0.004 / Math.sqrt(square || 1);
      const shifted = (s: number): Promise<number> => { engine.upload(tensor, before.map((x, i) => x + s * gradient[i]!)); return at(); };
      const slope = ((await shifted(step)) - (await shifted(-step))) / (2 * step);
      engine.upload(tensor, before);
      if (square > 1e-4) expect(Math.abs(slope - square) / square, name).toBeLessThan(0.03);
    }
    model.parameters.zeroGrad();
  });

  it("decodes on caches to the logits of the whole sequence", async () => {
    const whole = await engine.noGrad(() => model.logits(model.ids(IDS))).read();
    const cache = model.createCache({ batch: 1, ...(more["window"] !== undefined && { windowCapacity: 4 }) });
    const parts = [...(await model.prefill(model.ids(IDS.slice(0, 5)), { cache, chunk: 2 }).read())];
    for (const id of IDS.slice(5)) parts.push(...(await engine.noGrad(() => model.logits(model.ids([id]), { cache })).read()));
    assertClose(parts, whole.subarray(4 * 7), { label: "logits" });
    for (const layer of cache) layer.dispose();
    model.dispose();
  });

  it("survives JSON", () => {
    const spec = lab.resolve(smallSpec({ position: { use: "none" }, ...more }));
    expect(lab.resolve(JSON.parse(JSON.stringify(spec)))).toEqual(spec);
  });
});

describe("a stack", () => {
  it("shows the stream at every step, in order", async () => {
    const model = small(engine, { order: "s[sf]" });
    const seen: Omit<Observation, "x">[] = [];
    let final: Promise<unknown> | undefined;
    const logits = engine.noGrad(() => engine.scope(() => model.hidden(model.ids(IDS), { observe: ({ x, ...what }) => { seen.push(what); if (what.kind === "final") final = x.read(); } })));
    expect(seen).toEqual([
      { kind: "embedding", index: 0, letter: "" },
      { kind: "sublayer", index: 0, letter: "s" },
      { kind: "sublayer", index: 1, letter: "sf" },
      { kind: "final", index: 0, letter: "" },
    ]);
    expect(await final).toEqual(await logits.read());
  });

  it("in windows keeps no more rows than they see", () => {
    const model = small(engine, { order: "(wfsf)1", window: 3 });
    const [windowed, whole] = model.createCache({ batch: 1, kind: "static", windowCapacity: 4 });
    expect([windowed!.capacity, windowed!.overflow, whole!.capacity, whole!.overflow]).toEqual([4, "slide", 9, "error"]);
    for (const cache of [windowed!, whole!]) cache.dispose();
    expect(() => model.createCache({ batch: 1, windowCapacity: 2 })).toThrow(/ATTN_CACHE_SLIDE/);
  });

  it("learns in sandwich order", async () => {
    const model = small(engine, { order: "sandwich:1" });
    const learned = model.parameters.trainable.map(({ tensor }) => tensor);
    const zeros = (): Tensor[] => learned.map(({ shape }) => engine.keep(engine.zeros(shape)));
    const state = { first: zeros(), second: zeros() };
    const losses: number[] = [];
    for (let step = 1; step <= 10; step++) {
      const loss = engine.scope(() => {
        const of = model.loss(model.ids(IDS), model.ids([...IDS.slice(1), 3]));
        of.backward();
        adamwStep(learned, state, { rate: 0.02, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, step, weightDecay: learned.map(() => 0.01) });
        return of;
      });
      losses.push(await loss.item());
      model.parameters.zeroGrad();
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]! - 0.2);
  });

  it("refuses letters without what they need, and norms that contradict each other", () => {
    expect(() => small(engine, { order: "(wf)2" })).toThrow(/CONFIG_MISSING.*letter 'w'.*window/s);
    expect(() => small(engine, { order: "(sm)2" })).toThrow(/CONFIG_MISSING.*letter 'm'.*experts/s);
    expect(() => small(engine, { norm: { use: "rms", place: "post", residual: "normed" } })).toThrow(/CONFIG_NORM/);
    expect(() => small(engine, { order: "(sfx)2" })).toThrow(/CONFIG_ORDER/);
  });
});

describe("a model built for a checkpoint", () => {
  it("in halves multiplies by the rounded matrices, keeps the rest in f32, and learns nothing", async () => {
    const [model, halves] = [small(engine), small(engine, {}, { dtype: "f16", empty: true })];
    const isHalf = (name: string): boolean => /(qkv|out|up|down|embedding)\.weight$/.test(name);
    expect(halves.parameters.all.map(({ name, tensor }) => [name, tensor.dtype])).toEqual(model.parameters.all.map(({ name }) => [name, isHalf(name) ? "f16" : "f32"]));
    expect(halves.parameters.trainable).toEqual([]);
    for (const { name, tensor } of model.parameters.all) {
      const target = halves.parameters.get(name)!.tensor;
      engine.upload(target, await tensor.read());
      if (isHalf(name)) engine.upload(tensor, await target.read());
    }
    const logits = async (of: DecoderModel): Promise<ArrayLike<number>> => engine.noGrad(() => of.logits(of.ids(IDS))).read();
    assertClose(await logits(halves), await logits(model), { label: "logits" });
    const loss = async (of: DecoderModel): Promise<number> => engine.noGrad(() => of.loss(of.ids(IDS), of.ids(IDS))).item();
    expect(await loss(halves)).toBeCloseTo(await loss(model), 5);
  });

  it("is filled where no checkpoint would fill it", async () => {
    const options = { position: { use: "sinusoidal" } };
    const [model, empty] = [small(engine, options), small(engine, options, { empty: true })];
    const table = (of: DecoderModel): Promise<ArrayLike<number>> => of.parameters.all.find(({ name }) => name.startsWith("position."))!.tensor.read();
    expect(await table(empty)).toEqual(await table(model));
    // Memory is poisoned with NaN.
    expect(Number.isNaN((await empty.parameters.get("embedding.weight")!.tensor.read())[0])).toBe(true);
  });
});
