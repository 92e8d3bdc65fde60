import { causal, scoreHook, scoreMod, type ScoreHook } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, sum, type Tensor } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { flash } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const shape = [1, 2, 5, 4];
const [q, k, v] = [1, 2, 3].map((seed) => engine.tensor(uniform(40, seed), shape, { requiresGrad: true })) as [Tensor, Tensor, Tensor];

function attend(hook: ScoreHook, queries = q): void {
  engine.scope(() => {
    const { o } = flash.run({ q: queries, k, v, mask: causal(), scale: 0.5, qOffset: 0, kvOffset: 0, dropout: 0, qk: [], score: [{ hook, params: {} }] });
    sum(o).backward();
  });
}

const messageOf = async (hook: ScoreHook, queries = q): Promise<string> => {
  const error: unknown = await engine.detectAnomaly(() => { attend(hook, queries); }).then(() => undefined, (reason: unknown) => reason);
  return error instanceof Error ? error.message : "nothing was thrown";
};

describe("the anomaly mode in fused attention", () => {
  it("names the score hook that made NaN, though the kernel itself drops it", async () => {
    const bad = scoreHook({ id: "my-mod", program: scoreMod`q == 3 && kv == 2 && h == 1 ? sqrt(-1 - score * score) : score` });
    expect(await messageOf(bad)).toMatch(/^\[TENSOR_ANOMALY\] score hook 'my-mod' gave NaN at b=0 h=1 q=3 kv=2 from score -?\d/);
  });

  it("names the hook whose slope the backward pass makes NaN of", async () => {
    const zeros = engine.tensor(new Float32Array(40), shape, { requiresGrad: true });
    expect(await messageOf(scoreHook({ id: "root", program: scoreMod`sqrt(score)` }), zeros)).toMatch(/score hook 'root' has a slope that is not finite at b=0 h=0 q=0 kv=0/);
  });

  it("finds nothing in a clean hook, and runs the same kernels as before once it is off", async () => {
    const cap = scoreHook({ id: "cap", program: scoreMod`2 * tanh(score / 2)` });
    const dispatches = (): number => { const before = gpu.stats.dispatches; attend(cap); return gpu.stats.dispatches - before; };
    dispatches(); // from now on gradients are there and are added to
    const plain = dispatches();
    expect(await messageOf(cap)).toBe("nothing was thrown");
    expect(dispatches()).toBe(plain);
  });
});
