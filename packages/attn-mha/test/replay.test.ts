import { causal, scalar, capture, scoreHook, scoreMod } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, sum } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { afterAll, expect, it } from "vitest";
import { unfusedAttention } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu, { seed: 4 });
afterAll(() => { gpu.dispose(); });

it("replayed attention follows live offsets, captures that are set and the streams of dropout, forward and backward, bit by bit", async () => {
  const shape = [1, 2, 6, 4];
  const [q, k, v] = [1, 2, 3].map((seed) => engine.tensor(uniform(48, seed), shape, { requiresGrad: true })) as [ReturnType<typeof engine.tensor>, ReturnType<typeof engine.tensor>, ReturnType<typeof engine.tensor>];
  const cap = scalar(2);
  const slopes = capture(Float32Array.of(-0.5, -0.25), [2]);
  const hook = scoreHook({ id: "mix", program: scoreMod`${cap} * tanh(score / ${cap}) + ${slopes}[h] * (q - kv)` });
  const offset = { value: 0 };
  const step = (): object => {
    const { o } = unfusedAttention({ q, k, v, mask: causal(), scale: 0.5, qOffset: offset, kvOffset: 0, qk: [], score: [{ hook, params: {} }], dropout: 0.25 });
    sum(o).backward();
    const made = { o: o.detach(), dq: q.grad!.detach(), dk: k.grad!.detach(), dv: v.grad!.detach() };
    for (const x of [q, k, v]) x.zeroGrad();
    return made;
  };
  const set = (i: number): void => {
    offset.value = i % 3;
    cap.value = 1 + i;
    slopes.set([-0.5 / (i + 1), 0.1 * i]);
  };
  const read = async (made: object): Promise<number[][]> => Promise.all((Object.values(made) as (typeof q)[]).map(async (x) => [...(await x.read())]));

  const want: number[][][] = [];
  for (let i = 0; i < 5; i++) {
    set(i);
    want.push(await read(engine.scope(step)));
  }
  engine.randomPosition = 0;
  set(0);
  const recorded = engine.record(step);
  const got = [await read(recorded.outputs)];
  for (let i = 1; i < 5; i++) {
    set(i);
    recorded.replay();
    got.push(await read(recorded.outputs));
  }
  expect(got).toEqual(want);
  expect(new Set(want.map(String)).size).toBe(5);
  recorded.dispose();
});
