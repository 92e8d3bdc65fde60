import { openNodeGpu } from "@polyhead/gpu-node";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, expertLinear, expertLoads, fromHalf, groupByExpert, toHalf, type Engine, type Tensor } from "../src/index.ts";
import { expertLaw } from "./reference/experts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

/** Distinct experts for every token, none of them the last one. */
const idsFor = (tokens: number, active: number, experts: number): number[] =>
  Array.from(uniform(tokens, 11), (v) => Math.floor(((v + 1) / 2) * experts)).flatMap((first) => Array.from({ length: active }, (_, c) => (first + c) % Math.max(1, experts - 1)));

const upload = (ids: readonly number[], active: number, on: Engine = engine): Tensor => on.tensor(ids, [ids.length / active, active], { dtype: "u32" });

interface Case {
  readonly tokens: number;
  readonly experts: number;
  readonly active: number;
  readonly inputs: number;
  readonly outputs: number;
  /** x has a row for every choice. */
  readonly each?: boolean;
  readonly ids?: readonly number[];
}

/** An engine on the same device, which it sees otherwise. */
function seenAs(more: { readonly maxBindingBytes?: number; readonly subgroupSize?: number; readonly software?: boolean }): Engine {
  const { software = gpu.info.software, ...caps } = more;
  return createEngine(new Proxy(gpu, {
    get: (gpu, key) => {
      if (key === "caps") return { ...gpu.caps, ...caps };
      if (key === "info") return { ...gpu.info, software };
      const value: unknown = Reflect.get(gpu, key, gpu);
      return typeof value === "function" ? (value.bind(gpu) as unknown) : value;
    },
  }));
}

describe("expertLinear", () => {
  it.each<[string, Case]>([
    ["one pair", { tokens: 1, experts: 3, active: 1, inputs: 4, outputs: 4 }],
    ["odd counts and sizes", { tokens: 7, experts: 5, active: 3, inputs: 5, outputs: 7 }],
    ["sizes of four", { tokens: 9, experts: 4, active: 2, inputs: 12, outputs: 36, each: true }],
    ["tall tiles, several to an expert", { tokens: 45, experts: 3, active: 2, inputs: 8, outputs: 68 }],
    ["tall tiles, odd sizes", { tokens: 45, experts: 3, active: 2, inputs: 6, outputs: 35, each: true }],
    ["all tokens to one expert", { tokens: 37, experts: 4, active: 1, inputs: 4, outputs: 8, ids: new Array<number>(37).fill(2) }],
    ["all experts for every token", { tokens: 4, experts: 3, active: 3, inputs: 4, outputs: 8, ids: [0, 1, 2, 2, 1, 0, 1, 0, 2, 0, 2, 1] }],
  ])("and its gradients are the formula: %s", async (_, { tokens, experts, active, inputs, outputs, each = false, ids = idsFor(tokens, active, experts) }) => {
    const fan = each ? 1 : active;
    const shape = each ? [tokens, active, inputs] : [tokens, inputs];
    await checkGradients(
      {
        inputs: { x: { shape, data: uniform((tokens * active * inputs) / fan, 1) }, w: { shape: [experts, outputs, inputs], data: uniform(experts * outputs * inputs, 2) } },
        reference: ({ x, w }) => expertLaw(x!, w!, ids, fan, outputs, inputs),
        run: onEngine(engine, ({ x, w }) => expertLinear(x!, w!, groupByExpert(upload(ids, active), experts))),
      },
      { entries: 24 },
    );
  });

  it("gives an expert that nobody chose a gradient of exactly 0", async () => {
    const w = engine.tensor(uniform(4 * 8 * 4, 2), [4, 8, 4], { requiresGrad: true });
    engine.scope(() => { expertLinear(engine.tensor(uniform(6 * 4, 1), [6, 4]), w, groupByExpert(upload([0, 2, 2, 0, 2, 2], 1), 4)).backward(engine.full([6, 1, 8], 1)); });
    const gradient = await w.grad!.read();
    const ofExpert = (e: number): number[] => [...gradient.slice(e * 32, (e + 1) * 32)];
    for (const e of [1, 3]) expect(ofExpert(e)).toEqual(new Array(32).fill(0));
    expect(ofExpert(0).every((v) => v !== 0)).toBe(true);
    w.zeroGrad();
  });

  it.each([[6, 10], [5, 9]])("reads only the chosen matrices for few pairs without a gradient: one dispatch for x of %i and y of %i", async (inputs, outputs) => {
    const [ids, x, w] = [[3, 0, 1, 3], uniform(2 * inputs, 1), uniform(5 * outputs * inputs, 2)];
    const [rows, input, weight] = engine.noGrad(() => [groupByExpert(upload(ids, 2), 5), engine.tensor(x, [2, inputs]), engine.tensor(w, [5, outputs, inputs])]);
    expect(rows.sorted).toBeUndefined();
    const before = gpu.stats.dispatches;
    const y = expertLinear(input, weight, rows);
    expect(gpu.stats.dispatches - before).toBe(1 + 1); // the poison of y
    assertClose(await y.read(), expertLaw(x, w, ids, 2, outputs, inputs));
    // Rows that were not sorted beforehand are when a gradient is asked for after all.
    weight.requiresGrad = true;
    const learned = expertLinear(input, weight, rows);
    assertClose(await learned.read(), await y.read());
    learned.backward(engine.full(learned.shape, 1));
    expect(weight.grad!.shape).toEqual(weight.shape);
  });

  it.each([[2, 8, 12], [40, 8, 12], [2, 6, 7], [40, 6, 7]])("reads f16 weights, and passes a gradient through them: %i tokens, [%i, %i]", async (tokens, inputs, outputs) => {
    const ids = idsFor(tokens, 2, 4);
    const [x, w, seed] = [uniform(tokens * inputs, 1), uniform(4 * outputs * inputs, 2), uniform(tokens * 2 * outputs, 3)];
    const rounded = Float64Array.from(w, (v) => fromHalf(toHalf(v)));
    const weight = engine.tensor(w, [4, outputs, inputs], { dtype: "f16" });
    const inferred = engine.noGrad(() => expertLinear(engine.tensor(x, [tokens, inputs]), weight, groupByExpert(upload(ids, 2), 4)));
    assertClose(await inferred.read(), expertLaw(x, rounded, ids, 2, outputs, inputs));
    const input = engine.tensor(x, [tokens, inputs], { requiresGrad: true });
    expertLinear(input, weight, groupByExpert(upload(ids, 2), 4)).backward(engine.tensor(seed, [tokens, 2, outputs]));
    const want = new Float64Array(tokens * inputs);
    ids.forEach((expert, pair) => {
      for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) want[Math.floor(pair / 2) * inputs + i]! += rounded[(expert * outputs + o) * inputs + i]! * seed[pair * outputs + o]!;
    });
    assertClose(await input.grad!.read(), want);
  });

  it("walks matrices larger than a binding in runs of experts, to the same bits", async () => {
    const ids = idsFor(21, 2, 5);
    const run = async (on: Engine): Promise<unknown[]> => {
      const [x, w] = [on.tensor(uniform(21 * 12, 1), [21, 12], { requiresGrad: true }), on.tensor(uniform(5 * 16 * 12, 2), [5, 16, 12], { requiresGrad: true })];
      const y = on.scope(() => {
        const product = expertLinear(x, w, groupByExpert(upload(ids, 2, on), 5));
        product.backward(on.tensor(uniform(21 * 2 * 16, 3), [21, 2, 16]));
        return product;
      });
      const few = on.noGrad(() => expertLinear(x.narrow(0, 0, 2), w, groupByExpert(upload([4, 0, 3, 1], 2, on), 5)));
      return [await y.read(), await x.grad!.read(), await w.grad!.read(), await few.read()];
    };
    const whole = await run(engine);
    expect(await run(seenAs({ maxBindingBytes: 2048 }))).toEqual(whole); // two experts
    expect(await run(engine)).toEqual(whole);
  });

  it.each([
    ["workgroup memory", { software: false }, 80, 8, 66],
    ["registers", { subgroupSize: 0 }, 30, 8, 12],
  ] as const)("is the formula by the tiles of any device: %s", async (_, device, tokens, inputs, outputs) => {
    const on = seenAs(device);
    const ids = idsFor(tokens, 2, 3);
    const [x, w] = [uniform(tokens * inputs, 1), uniform(3 * outputs * inputs, 2)];
    const [input, weight] = [on.tensor(x, [tokens, inputs]), on.tensor(w, [3, outputs, inputs], { requiresGrad: true })];
    const y = expertLinear(input, weight, groupByExpert(upload(ids, 2, on), 3));
    assertClose(await y.read(), expertLaw(x, w, ids, 2, outputs, inputs));
    const seed = uniform(tokens * 2 * outputs, 3);
    y.backward(on.tensor(seed, y.shape));
    const want = new Float64Array(w.length);
    ids.forEach((expert, pair) => {
      for (let o = 0; o < outputs; o++) for (let i = 0; i < inputs; i++) want[(expert * outputs + o) * inputs + i]! += x[Math.floor(pair / 2) * inputs + i]! * seed[pair * outputs + o]!;
    });
    assertClose(await weight.grad!.read(), want);
  });

  it.each([1, 20])("is replayed for other experts: %i tokens", async (tokens) => {
    const active = 2;
    const [x, w] = [uniform(tokens * 8, 1), uniform(6 * 12 * 8, 2)];
    const ids = upload(new Array<number>(tokens * active).fill(0), active);
    const [input, weight] = [engine.tensor(x, [tokens, 8]), engine.tensor(w, [6, 12, 8])];
    const recorded = engine.noGrad(() => engine.record(() => expertLinear(input, weight, groupByExpert(ids, 6))));
    for (const shift of [0, 1, 4]) {
      const now = idsFor(tokens, active, 6).map((id) => (id + shift) % 6);
      engine.upload(ids, now);
      recorded.replay();
      assertClose(await recorded.outputs.read(), expertLaw(x, w, now, active, 12, 8));
    }
    recorded.dispose();
  });

  it("counts the tokens of every expert", async () => {
    expect(await expertLoads(upload([3, 0, 3, 1, 3, 0], 2), 5).read()).toEqual(Float32Array.of(2, 1, 0, 3, 0));
  });

  it("says what does not fit", () => {
    const [x, w] = [engine.zeros([2, 4]), engine.zeros([3, 5, 4])];
    const rows = groupByExpert(upload([0, 1, 2, 0], 2), 3);
    expect(() => expertLinear(engine.zeros([2, 5]), w, rows)).toThrow(/TENSOR_SHAPE.*x \[2, 5\] and weight \[3, 5, 4\] for ids \[2, 2\] of 3 experts[^]*\[2, 4\] or \[2, 2, 4\]/);
    expect(() => expertLinear(engine.zeros([2, 3, 4]), w, rows)).toThrow(/TENSOR_SHAPE/);
    expect(() => expertLinear(x, engine.zeros([4, 5, 4]), rows)).toThrow(/TENSOR_SHAPE[^]*\[experts, out, in\]/);
    expect(() => expertLinear(x, engine.zeros([3, 5, 4], "u32"), rows)).toThrow(/TENSOR_DTYPE.*u32/);
    expect(() => expertLinear(x, createEngine(gpu).zeros([3, 5, 4]), rows)).toThrow(/TENSOR_ENGINE/);
    expect(() => groupByExpert(engine.zeros([2, 2]), 3)).toThrow(/TENSOR_DTYPE.*f32/);
    expect(() => groupByExpert(engine.zeros([4], "u32"), 3)).toThrow(/TENSOR_SHAPE.*\[4\]/);
  });
});
