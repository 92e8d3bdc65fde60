import { capture, causal, scoreHook, scoreMod, type Program } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, type Engine, type Tensor } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { flashAttention } from "../src/kernel.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
afterAll(() => { gpu.dispose(); });
const shared = createEngine(gpu);

const [B, H, T, D, REACH] = [2, 2, 33, 8, 3];
const wide = 2 * REACH + 1;
const table = capture(uniform(H * wide, 9), [H, wide], { name: "table", learned: true });
const near = scoreMod`score + ${table}[h, clamp(kv - q, -${REACH}, ${REACH}) + ${REACH}]`;

/** The gradient of the table of one attention over T rows; `loud` multiplies the gradient of its output. */
async function gradientOf(program: Program, learned: typeof table, { loud = 1, rows = T, engine = shared }: { readonly loud?: number; readonly rows?: number; readonly engine?: Engine } = {}): Promise<Float32Array> {
  const leaf = (seed: number): Tensor => engine.tensor(uniform(B * H * rows * D, seed), [B, H, rows, D]);
  const weights = engine.tensor(learned.data, learned.shape, { requiresGrad: true });
  const { o } = flashAttention({
    q: leaf(1), k: leaf(2), v: leaf(3), scale: 0.4, mask: causal(), qOffset: 0, kvOffset: 0, qk: [], dropout: 0,
    score: [{ hook: scoreHook({ id: "learned", program }), params: { [learned.name]: weights } }],
  });
  o.backward(engine.tensor(uniform(B * H * rows * D, 4).map((x) => x * loud), [B, H, rows, D]));
  return Float32Array.from(await weights.grad!.read());
}

describe("the gradient of a learned table", () => {
  it("does not depend on the order in which threads add: the same bits on every run", async () => {
    const [once, again] = [await gradientOf(near, table, { rows: 129 }), await gradientOf(near, table, { rows: 129 })];
    expect(again).toEqual(once);
  });

  it("keeps its digits whatever the size of the gradient: fixed point moves with it", async () => {
    const plain = await gradientOf(near, table);
    expect(Math.max(...plain.map(Math.abs))).toBeGreaterThan(0.1);
    for (const power of [-70, -20, 40, 70]) {
      const moved = await gradientOf(near, table, { loud: 2 ** power });
      expect(moved.map((x) => x / 2 ** power)).toEqual(plain);
    }
  });

  it("sums to 0 over a row's softmax: what a table with one entry for all learns", async () => {
    const one = capture(Float32Array.of(0.3), [1], { name: "one", learned: true });
    const [shift] = await gradientOf(scoreMod`score + ${one}[0]`, one);
    const plain = await gradientOf(near, table);
    expect(Math.abs(shift!)).toBeLessThan(1e-5 * Math.max(...plain.map(Math.abs)));
  });

  it("is NaN, all of it, where a derivative passes what fixed point leaves room for", async () => {
    const flat = capture(new Float32Array(1), [1], { name: "flat", learned: true });
    const inside = await gradientOf(scoreMod`score + ${flat}[0] * (kv == 2 ? 65536.0 : 0.0)`, flat);
    expect(inside.every((x) => Math.abs(x) > 100)).toBe(true);
    const beyond = await gradientOf(scoreMod`score + ${flat}[0] * (kv == 2 ? 65537.0 : 0.0)`, flat);
    expect(beyond).toEqual(Float32Array.of(NaN));
  });

  it("costs no array of scores", async () => {
    const own = await openNodeGpu({ limits: "default", features: "none" });
    await gradientOf(near, table, { rows: 512, engine: createEngine(own) });
    expect(own.stats.peakBytes).toBeLessThan(4 * B * H * 512 * 512);
    own.dispose();
  });
});
