import type { Params64 } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, expertLoads, fromHalf, toHalf, type DType, type Tensor } from "@polyhead/tensor";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { mixture, updateCorrection, type ExpertsConfig } from "../src/index.ts";
import { mixtureReference } from "../src/mixture-reference.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const WIDTH = 8;
const v2: ExpertsConfig = { routed: 6, active: 2, width: 4, shared: 1 };
const v3: ExpertsConfig = { routed: 8, active: 3, width: 4, shared: 2, scoring: "sigmoid", groups: 4, activeGroups: 2, groupScore: "top2", normalize: true, scale: 2.5, correction: true };

/** Values of every parameter; the correction pulls towards `loved`, and away from the last expert. */
function valuesFor(config: ExpertsConfig, width = WIDTH, loved?: number): Readonly<Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>> {
  return Object.fromEntries(Object.entries(mixture(width, config).params).map(([name, { shape }], i) => {
    const data = uniform(shape.reduce((p, n) => p * n, 1), i + 2);
    if (name === "router.correction" && loved !== undefined) data.fill(0).fill(9, loved, loved + 1).fill(-9, -1);
    return [name, { shape, data }];
  }));
}

const onDevice = (values: ReturnType<typeof valuesFor>, dtype: DType = "f32"): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(values).map(([name, { shape, data }]) => [name, engine.tensor(data, shape, { dtype: name === "router.correction" ? "f32" : dtype })]));

const in64 = (values: ReturnType<typeof valuesFor>): Params64 => Object.fromEntries(Object.entries(values).map(([name, { data }]) => [name, Float64Array.from(data)]));

describe("a mixture of experts", () => {
  it.each<[string, number, number, ExpertsConfig, number?]>([
    ["as in DeepSeek-V2", 7, 8, v2],
    ["V2's groups, odd sizes, nothing shared", 5, 6, { routed: 6, active: 2, width: 5, groups: 3, activeGroups: 2, scale: 1.5 }],
    ["as in DeepSeek-V3", 9, 8, v3],
    ["one expert for every token, the same", 11, 8, { routed: 4, active: 1, width: 4, correction: true }, 2],
    ["every expert for every token", 3, 8, { routed: 3, active: 3, width: 4, normalize: true }],
    ["one expert, one token", 1, 8, { routed: 1, active: 1, width: 4, scoring: "sigmoid" }],
  ])("and all of its gradients are the formula: %s", async (_, tokens, width, config, loved) => {
    const layer = mixture(width, config);
    const { "router.correction": fixed, ...learned } = valuesFor(config, width, loved);
    const bias = fixed && engine.tensor(fixed.data, fixed.shape);
    await checkGradients(
      {
        inputs: { x: { shape: [tokens, width], data: uniform(tokens * width, 1) }, ...learned },
        reference: ({ x, ...rest }) => mixtureReference(x!, width, config, { ...rest, ...(fixed && { "router.correction": Float64Array.from(fixed.data) }) }),
        run: onEngine(engine, ({ x, ...rest }) => layer.apply(x!, { ...rest, ...(bias && { "router.correction": bias }) })),
      },
      { entries: 16 },
    );
  });

  it("leaves an expert without tokens alone: its gradient is exactly 0", async () => {
    const config: ExpertsConfig = { routed: 4, active: 2, width: 4, correction: true };
    const params = onDevice(valuesFor(config, WIDTH, 0));
    for (const name of ["experts.up", "experts.down"]) params[name]!.requiresGrad = true;
    engine.scope(() => { mixture(WIDTH, config).apply(engine.tensor(uniform(5 * WIDTH, 1), [5, WIDTH]), params).backward(engine.full([5, WIDTH], 1)); });
    for (const name of ["experts.up", "experts.down"]) {
      const gradient = await params[name]!.grad!.read();
      expect(gradient.slice(-gradient.length / 4).every((v) => v === 0)).toBe(true);
      expect(gradient.slice(0, gradient.length / 4).every((v) => v === 0)).toBe(false);
    }
  });

  it("keeps the axes of its input, and has the same bits on every run", async () => {
    const run = async (): Promise<unknown[]> => {
      const params = onDevice(valuesFor(v3));
      for (const [name, tensor] of Object.entries(params)) tensor.requiresGrad = name !== "router.correction";
      const y = engine.scope(() => {
        const result = mixture(WIDTH, v3).apply(engine.tensor(uniform(26 * WIDTH, 1), [2, 13, WIDTH]), params);
        result.backward(engine.tensor(uniform(26 * WIDTH, 9), [2, 13, WIDTH]));
        return result;
      });
      expect(y.shape).toEqual([2, 13, WIDTH]);
      const gradients = Object.values(params).flatMap(({ grad }) => (grad === undefined ? [] : [grad.read()]));
      expect(gradients).toHaveLength(Object.keys(params).length - 1);
      return [await y.read(), ...(await Promise.all(gradients))];
    };
    expect(await run()).toEqual(await run());
  });

  it("decodes by replay: whatever the token and its experts are, what the formula gives", async () => {
    const values = valuesFor(v3);
    const params = onDevice(values);
    const token = engine.zeros([1, 1, WIDTH]);
    const recorded = engine.noGrad(() => engine.record(() => mixture(WIDTH, v3).apply(token, params)));
    for (const seed of [1, 2, 3, 4]) {
      const x = uniform(WIDTH, seed);
      engine.upload(token, x);
      recorded.replay();
      assertClose(await recorded.outputs.read(), mixtureReference(Float64Array.from(x), WIDTH, v3, in64(values)));
    }
    recorded.dispose();
  });

  it.each([[2], [40]])("reads f16 weights: %i tokens", async (tokens) => {
    const values = valuesFor(v2);
    const rounded = Object.fromEntries(Object.entries(in64(values)).map(([name, data]) => [name, data.map((v) => fromHalf(toHalf(v)))]));
    const x = uniform(tokens * WIDTH, 1);
    const y = engine.noGrad(() => mixture(WIDTH, v2).apply(engine.tensor(x, [tokens, WIDTH]), onDevice(values, "f16")));
    assertClose(await y.read(), mixtureReference(Float64Array.from(x), WIDTH, v2, rounded));
  });

  it("shares are one network of as many features as the shared experts have together", async () => {
    const values = valuesFor(v3);
    const two = mixture(WIDTH, v3).apply(engine.tensor(uniform(WIDTH, 1), [1, WIDTH]), onDevice(values));
    const { "shared.up.weight": up, "shared.down.weight": down, ...routed } = in64(values);
    // Expert s of the two owns features s·4 to s·4 + 4 of gate and up.
    const alone = (s: number): Params64 => ({
      ...routed,
      "shared.up.weight": Float64Array.from({ length: 8 * WIDTH }, (_, i) => up![((i < 4 * WIDTH ? 0 : 4) + 4 * s) * WIDTH + i]!),
      "shared.down.weight": Float64Array.from({ length: WIDTH * 4 }, (_, i) => down![Math.floor(i / 4) * 8 + 4 * s + (i % 4)]!),
    });
    const x = Float64Array.from(uniform(WIDTH, 1));
    const [first, second, none] = [mixtureReference(x, WIDTH, { ...v3, shared: 1 }, alone(0)), mixtureReference(x, WIDTH, { ...v3, shared: 1 }, alone(1)), mixtureReference(x, WIDTH, { ...v3, shared: 0 }, routed)];
    assertClose(await two.read(), first.map((v, i) => v + second[i]! - none[i]!));
  });
});

describe("updateCorrection", () => {
  it("lowers experts above the mean load by the speed, raises those below it, and leaves the rest", async () => {
    const correction = engine.tensor([0.5, 0, 0, -0.25]);
    updateCorrection(correction, engine.tensor([6, 1, 4, 5]), 0.125);
    expect([...(await correction.read())]).toEqual([0.375, 0.125, 0, -0.375]);
  });


  it("evens out the loads of a router that prefers one expert", async () => {
    const config: ExpertsConfig = { routed: 4, active: 1, width: 4, scoring: "sigmoid", correction: true };
    const values = valuesFor(config);
    values["router.correction"]!.data.fill(0);
    // Tokens with something in common, and an expert that likes it.
    values["router.weight"]!.data.fill(0.5, 0, WIDTH);
    const params = onDevice(values);
    const x = engine.tensor(uniform(64 * WIDTH, 1).map((v) => v + 1), [64, WIDTH]);
    const loads: Tensor[] = [];
    for (let step = 0; step < 50; step++) {
      engine.noGrad(() => engine.scope(() => {
        mixture(WIDTH, config).apply(x, params, ({ experts }) => { loads.push(engine.keep(expertLoads(experts, config.routed))); });
      }));
      updateCorrection(params["router.correction"]!, loads.at(-1)!, 0.02);
    }
    const most = async (t: Tensor): Promise<number> => Math.max(...(await t.read()));
    expect(await most(loads[0]!)).toBeGreaterThan(40);
    expect(await most(loads.at(-1)!)).toBeLessThan(20);
  });
});
