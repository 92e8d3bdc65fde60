import { and, capture, causal, not, prefix, scoreHook, scoreMod, window, type KernelInputs, type Mask, type ScoreHook } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { rope } from "@polyhead/pos-rope";
import { createEngine, sum, type Tensor } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { reference } from "../src/index.ts";
import { biasOfHooks } from "../src/kernel-parts.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const B = 1, H = 2, T = 5, D = 4;
const leaf = (seed: number): Tensor => engine.tensor(uniform(B * H * T * D, seed), [B, H, T, D], { requiresGrad: true });
const [q, k, v] = [leaf(1), leaf(2), leaf(3)];

const cap = scoreHook({ id: "cap", program: scoreMod`2 * tanh(score / 2)` });
const table = capture(Float32Array.of(1, 2, 3), [3], { name: "steps" });

type Extra = Partial<KernelInputs<Tensor>> & { readonly hooks?: readonly ScoreHook[] };

function attend({ hooks = [], ...extra }: Extra): Tensor {
  return reference.run({ q, k, v, mask: causal(), scale: 0.5, qOffset: 0, kvOffset: 0, dropout: 0, qk: [], score: hooks.map((hook) => ({ hook, params: {} })), ...extra }).o;
}

async function messageOf(work: () => unknown): Promise<string> {
  const error: unknown = await engine.detectAnomaly(work).then(() => undefined, (reason: unknown) => reason);
  return error instanceof Error ? error.message : "nothing was thrown";
}

const forward = (extra: Extra): Promise<string> => messageOf(() => engine.scope(() => attend(extra)));
const backward = (extra: Extra): Promise<string> => messageOf(() => { engine.scope(() => { sum(attend(extra)).backward(); }); });

describe("the anomaly mode in attention", () => {
  it("names the score hook that made NaN, the cell in global positions, and the score it was given", async () => {
    const root = scoreHook({ id: "root", program: scoreMod`b == 0 && h == 1 && q == 13 && kv == 12 ? sqrt(-1 - score * score) : score` });
    const message = await forward({ hooks: [cap, root], qOffset: 10, kvOffset: 10 });
    const data = [await q.read(), await k.read()].map((x) => x.slice(4 * T));
    const raw = 0.5 * Array.from({ length: D }, (_, d) => data[0]![3 * D + d]! * data[1]![2 * D + d]!).reduce((a, b) => a + b, 0);
    const [, given] = /^\[TENSOR_ANOMALY\] score hook 'root' gave NaN at b=0 h=1 q=13 kv=12 from score (\S+)\n {2}fix: make it defined for every score and position that the mask allows$/.exec(message) ?? [message, "no match"];
    expect(Number(given), message).toBeCloseTo(2 * Math.tanh(raw / 2), 5);
  });

  it("says which table an index left", async () => {
    const steps = scoreHook({ id: "steps", program: scoreMod`score + ${table}[q - kv]` });
    expect(await forward({ hooks: [steps] })).toMatch(/score hook 'steps' gave NaN at b=0 h=0 q=3 kv=0 from score \S+: index 0 of capture 'steps' is 3; expected 0 to 2\n {2}fix: clamp the index/);
  });

  it("finds nothing where the mask forbids what a hook cannot do", async () => {
    const steps = scoreHook({ id: "steps", program: scoreMod`score + ${table}[q - kv]` });
    expect(await backward({ hooks: [steps], mask: window(2) })).toBe("nothing was thrown");
    expect(await backward({ hooks: [cap], mask: and(prefix(2), not(causal())) })).toBe("nothing was thrown");
  });

  it("names the hook whose slope the backward pass makes NaN of, and not where the slope does no harm", async () => {
    const root = scoreHook({ id: "root", program: scoreMod`sqrt(score)` });
    const zeros = engine.tensor(new Float32Array(B * H * T * D), [B, H, T, D], { requiresGrad: true });
    expect(await backward({ hooks: [cap, root], q: zeros })).toMatch(/score hook 'root' has a slope that is not finite at b=0 h=0 q=0 kv=0 from score 0, and the backward pass made NaN of it\n {2}fix: keep roots/);
    expect(await forward({ hooks: [cap, root], q: zeros })).toBe("nothing was thrown");
  });

  it("names a bias, and the qk hook that turned a row outside of its table", async () => {
    const bias = uniform(T * T, 4);
    bias[3 * T + 1] = NaN;
    expect(await forward({ bias: engine.tensor(bias, [1, 1, T, T]) })).toMatch(/the bias gave NaN at b=0 h=0 q=3 kv=1 from score/);
    const { hooks } = rope.create({}, { width: 8, layers: 1, context: 4, vocab: 2, dropout: 0, causal: true, heads: 2, headDim: D });
    expect(await forward({ qk: [{ hook: hooks[0] as never, params: {} }] })).toMatch(/'pairwise' made NaN out of clean inputs, first at \[0, 0, 4, 0\] of shape \[1, 2, 5, 4\], in qk hook 'rope' on q/);
  });

  it("names a hook that became a bias tensor", async () => {
    const steps = scoreHook({ id: "steps", program: scoreMod`score + ${table}[q - kv]` });
    const asBias = (mask: Mask = causal()): Promise<string> => messageOf(() => engine.scope(() => biasOfHooks(engine, [{ hook: steps, params: {} }], { shape: [B, H, T, T], qOffset: 0, kvOffset: 0, mask })));
    expect(await asBias()).toMatch(/score hook 'steps' gave NaN at b=0 h=0 q=3 kv=0 from score 0: index 0 of capture 'steps'/);
    expect(await asBias(window(2))).toBe("nothing was thrown");
  });

  it("does not take padding for a fault, whatever it holds", async () => {
    const dirty = uniform(B * H * T * D, 5);
    for (let h = 0; h < H; h++) dirty.fill(NaN, (h * T + 4) * D, (h * T + 5) * D);
    const bad = engine.tensor(dirty, [B, H, T, D]);
    const lengths = engine.tensor([4], [1], { dtype: "i32" });
    expect(await forward({ k: bad, v: bad, lengths, hooks: [cap] })).toBe("nothing was thrown");
  });
});
