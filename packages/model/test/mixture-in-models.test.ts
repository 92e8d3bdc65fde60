import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, sub, type DType, type Tensor } from "@polyhead/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { ExpertBalance, mixture, type ExpertsConfig } from "../src/index.ts";
import { small } from "./parts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const WIDTH = 8;
const experts: ExpertsConfig = { routed: 6, active: 2, width: 4, shared: 1 };

describe("mixtures in a model", () => {
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
  const attempt = (more: Partial<ExpertsConfig>) => (): unknown => mixture(WIDTH, { ...experts, ...more });
  expect(attempt({ active: 7 })).toThrow(/EXPERTS_ACTIVE.*7 active experts of 6[^]*1 to 6/);
  expect(attempt({ groups: 3, activeGroups: 1, active: 3 })).toThrow(/EXPERTS_ACTIVE.*from 1 groups of 2/);
  expect(attempt({ groups: 4 })).toThrow(/EXPERTS_GROUPS.*6 experts in 4 groups/);
  expect(attempt({ groups: 2, activeGroups: 3 })).toThrow(/EXPERTS_GROUPS.*3 active groups of 2/);
  expect(attempt({ groups: 6, groupScore: "top2" })).toThrow(/EXPERTS_GROUPS.*groups of 1 expert/);
  expect(attempt({ width: 0 })).toThrow(/EXPERTS_COUNT.*width is 0/);
  expect(attempt({ shared: -1 })).toThrow(/EXPERTS_COUNT.*shared is -1/);
  expect(attempt({ routed: 2000 })).toThrow(/EXPERTS_COUNT.*routed is 2000/);
});
