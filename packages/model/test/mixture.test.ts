import type { Params64 } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, expertLoads, fromHalf, sub, toHalf, type DType, type Tensor } from "@polyhead/tensor";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { ExpertBalance, mixture, updateCorrection, type ExpertsConfig } from "../src/index.ts";
import { mixtureReference } from "../src/mixture-reference.ts";
import { small } from "./parts.ts";

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

describe("in a model", () => {
  const experts: ExpertsConfig = { routed: 4, active: 1, width: 4, scoring: "sigmoid", correction: true };
  const spec = { order: "(sf)1(sm)1", experts };

  it("letter m is a mixture, and routings are heard by the path of its parameters", async () => {
    const model = small(engine, spec);
    expect(model.parameters.all.flatMap(({ name, tensor }) => (name.startsWith("blocks.1.feedForward") ? [[name, tensor.shape, tensor.requiresGrad]] : []))).toEqual([
      ["blocks.1.feedForward.norm.weight", [12], true],
      ["blocks.1.feedForward.router.weight", [4, 12], true],
      ["blocks.1.feedForward.router.correction", [4], false],
      ["blocks.1.feedForward.experts.up", [4, 8, 12], true],
      ["blocks.1.feedForward.experts.down", [4, 12, 4], true],
    ]);
    const heard: [string, readonly number[]][] = [];
    const loss = model.loss(model.ids([1, 2, 3, 4, 5]), model.ids([2, 3, 4, 5, 6]), { observeRouting: (path, { experts: ids }) => { heard.push([path, ids.shape]); } });
    loss.backward();
    expect(heard).toEqual([["blocks.1.feedForward", [5, 1]]]);
    const silent = model.parameters.trainable.filter(({ tensor }) => tensor.grad === undefined);
    expect(silent.map(({ name }) => name)).toEqual([]);
    model.parameters.dispose();
    await gpu.settled();
  });

  it("in halves keeps the router and stores its experts as f16", () => {
    const model = small(engine, spec, { dtype: "f16" });
    const of = (name: string): DType => model.parameters.get(`blocks.1.feedForward.${name}`)!.tensor.dtype;
    expect(["experts.up", "experts.down", "router.weight", "router.correction"].map(of)).toEqual(["f16", "f16", "f32", "f32"]);
    model.parameters.dispose();
  });

  it("training steps are replayed to the bits of eager ones, while tokens change their experts", async () => {
    const [ids, targets] = [[1, 2, 3, 4, 5, 6, 0], [2, 3, 4, 5, 6, 0, 1]];
    const run = async (replayed: boolean): Promise<unknown[]> => {
      const model = small(engine, { ...spec, experts: { ...experts, active: 2 } });
      const [input, wanted] = [model.ids(ids), model.ids(targets)];
      const chosen: Tensor[] = [];
      const step = (): Tensor[] => {
        const loss = model.loss(input, wanted, { training: true, observeRouting: (_, routing) => { chosen[0] = engine.keep(routing.experts); } });
        loss.backward();
        engine.noGrad(() => { for (const { tensor } of model.parameters.trainable) engine.assign(tensor, sub(tensor, tensor.grad!)); });
        model.parameters.zeroGrad();
        return [loss, chosen[0]!];
      };
      const seen: unknown[] = [];
      const note = async (outputs: readonly Tensor[]): Promise<void> => { for (const output of outputs) seen.push(await output.read()); };
      if (replayed) {
        await note(engine.scope(step));
        const recorded = engine.record(step);
        await note(recorded.outputs);
        for (let i = 2; i < 6; i++) {
          recorded.replay();
          await note(recorded.outputs);
        }
        recorded.dispose();
      } else {
        for (let i = 0; i < 6; i++) await note(engine.scope(step));
      }
      model.parameters.dispose();
      return seen;
    };
    const eager = await run(false);
    expect(eager[1]).not.toEqual(eager.at(-1));
    expect(await run(true)).toEqual(eager);
  });

  it("a balance moves the corrections by what was heard since its last step, in recorded steps too", async () => {
    const model = small(engine, spec);
    const correction = model.parameters.get("blocks.1.feedForward.router.correction")!.tensor;
    const balance = new ExpertBalance(model.parameters, 0.125);
    const ids = model.ids([1, 2, 3, 4, 5, 6]);
    const step = (): void => {
      engine.noGrad(() => engine.scope(() => {
        for (let part = 0; part < 2; part++) model.logits(ids, { observeRouting: balance.observe });
      }));
      balance.step();
    };
    const after = async (run: (steps: number) => void): Promise<number[]> => {
      engine.upload(correction, [2, 0, 0, 0]);
      run(9);
      return [...(await correction.read())];
    };
    const eager = await after((steps) => { for (let i = 0; i < steps; i++) step(); });
    // Eight steps of an eighth take the first expert's lead, and the ninth is for those that tokens like by themselves.
    expect(eager.every((bias) => Math.abs(bias - 1) <= 0.125)).toBe(true);
    expect(eager).not.toEqual([1, 1, 1, 1]);
    const recorded = engine.record(step);
    expect(await after((steps) => { for (let i = 0; i < steps; i++) recorded.replay(); })).toEqual(eager);
    engine.upload(correction, [2, 0, 0, 0]);
    step();
    expect([...(await correction.read())]).toEqual([1.875, 0.125, 0.125, 0.125]);
    recorded.dispose();
    balance.dispose();
    model.parameters.dispose();
  });

  it("a balance says which mixture has nothing to balance", () => {
    const model = small(engine, { ...spec, experts: { routed: 4, active: 1, width: 4 } });
    const balance = new ExpertBalance(model.parameters, 0.01);
    expect(() => model.logits(model.ids([1, 2]), { observeRouting: balance.observe })).toThrow(/EXPERTS_CORRECTION.*'blocks\.1\.feedForward'[^]*correction: true/);
  });
});

it("a config that no routing fits is an error that says why", () => {
  const attempt = (more: Partial<ExpertsConfig>) => (): unknown => mixture(WIDTH, { ...v2, ...more });
  expect(attempt({ active: 7 })).toThrow(/EXPERTS_ACTIVE.*7 active experts of 6[^]*1 to 6/);
  expect(attempt({ groups: 3, activeGroups: 1, active: 3 })).toThrow(/EXPERTS_ACTIVE.*from 1 groups of 2/);
  expect(attempt({ groups: 4 })).toThrow(/EXPERTS_GROUPS.*6 experts in 4 groups/);
  expect(attempt({ groups: 2, activeGroups: 3 })).toThrow(/EXPERTS_GROUPS.*3 active groups of 2/);
  expect(attempt({ groups: 6, groupScore: "top2" })).toThrow(/EXPERTS_GROUPS.*groups of 1 expert/);
  expect(attempt({ width: 0 })).toThrow(/EXPERTS_COUNT.*width is 0/);
  expect(attempt({ shared: -1 })).toThrow(/EXPERTS_COUNT.*shared is -1/);
  expect(attempt({ routed: 2000 })).toThrow(/EXPERTS_COUNT.*routed is 2000/);
});
