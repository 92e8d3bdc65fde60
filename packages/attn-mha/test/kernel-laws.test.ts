import { and, array64, capture, causal, custom, document, full, maskMod, referenceAttention, referenceGradients, scalar, scoreHook, scoreMod, window, type KernelInputs, type ReferenceInputs } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { add, cast, checkpoint, createEngine, mul, sum, type Tensor } from "@polyhead/tensor";
import { assertClose, GRADIENT, ONNX_F16, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { reference, unfusedAttention } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const able = await openNodeGpu({ poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); able.dispose(); });

interface Arrays {
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly shape: readonly number[];
}

const arrays = (...shape: readonly number[]): Arrays => {
  const size = shape.reduce((a, b) => a * b, 1);
  return { q: uniform(size, 1), k: uniform(size, 2), v: uniform(size, 3), shape };
};
const leaves = ({ q, k, v, shape }: Arrays, requiresGrad = true): Pick<KernelInputs<Tensor>, "q" | "k" | "v"> => {
  const [tq, tk, tv] = [q, k, v].map((data) => engine.tensor(data, shape, { requiresGrad })) as [Tensor, Tensor, Tensor];
  return { q: tq, k: tk, v: tv };
};
const inputs64 = ({ q, k, v, shape }: Arrays): Pick<ReferenceInputs, "q" | "k" | "v"> => ({ q: array64(q, shape), k: array64(k, shape), v: array64(v, shape) });
const plain = { mask: causal(), scale: 0.5, qOffset: 0, kvOffset: 0, qk: [], score: [], dropout: 0 } as const;

describe("the unfused kernel", () => {
  const cap = scoreHook({ id: "cap", program: scoreMod(({ score }) => score.tanh()) });
  it.each([{ score: [cap], keys: 7 }, { score: [], keys: 8 }])("adds up the gradients of output and log-sum-exp when both are used: $keys keys", async ({ score, keys }) => {
    const data = arrays(2, 3, keys, 5);
    const want = { ...inputs64(data), mask: causal(), scale: 0.5, score };
    const { o, lse } = referenceAttention(want);
    const [dO, dLse] = [uniform(o.data.length, 4), uniform(lse.data.length, 5)];
    const gradients = referenceGradients(want, array64(dO, o.shape), array64(dLse, lse.shape));
    const x = leaves(data);
    engine.scope(() => {
      const out = unfusedAttention({ ...plain, ...x, score: score.map((hook) => ({ hook, params: {} })) });
      const weighed = (y: Tensor, weights: Float32Array): Tensor => sum(mul(y, engine.tensor(weights, y.shape)));
      add(weighed(out.o, dO), weighed(out.lse, dLse)).backward();
    });
    for (const name of ["q", "k", "v"] as const) assertClose(await x[name].grad!.read(), gradients[name].data, { rule: GRADIENT, label: `d${name}` });
  });

  it.each([["without features", gpu], ["with all that the adapter has", able]] as const)("walks rows longer than a workgroup, %s", async (_, device) => {
    const there = createEngine(device);
    const [shape, keys] = [[1, 1, 3, 4], [1, 1, 300, 4]];
    const [q, k, v, dO] = [uniform(12, 1), uniform(1200, 2), uniform(1200, 3), uniform(12, 4)];
    // A hook keeps the general kernel at work, no hook lets the wide one.
    for (const score of [[], [scoreHook({ id: "same", program: scoreMod`score` })]]) {
      const inputs = { q: array64(q, shape), k: array64(k, keys), v: array64(v, keys), mask: window(200, 3), scale: 0.5, qOffset: 290, score };
      const want = referenceAttention(inputs);
      const gradients = referenceGradients(inputs, array64(dO, shape));
      const [tq, tk, tv] = [there.tensor(q, shape, { requiresGrad: true }), there.tensor(k, keys, { requiresGrad: true }), there.tensor(v, keys, { requiresGrad: true })];
      const got = there.scope(() => {
        const out = unfusedAttention({ ...plain, q: tq, k: tk, v: tv, mask: window(200, 3), qOffset: 290, score: score.map((hook) => ({ hook, params: {} })) });
        out.o.backward(there.tensor(dO, shape));
        return { o: out.o, lse: out.lse };
      });
      assertClose(await got.o.read(), want.o.data, { label: "o" });
      assertClose(await got.lse.read(), want.lse.data, { label: "lse" });
      assertClose(await tq.grad!.read(), gradients.q.data, { rule: GRADIENT, label: "dq" });
      assertClose(await tk.grad!.read(), gradients.k.data, { rule: GRADIENT, label: "dk" });
    }
  });

  it("takes tables of both types, a bias and both paddings within eight storage buffers", async () => {
    const data = arrays(2, 2, 6, 4);
    const slopes = capture(Float32Array.of(0.3, -0.2), [2], { name: "slopes" });
    const learned = capture(uniform(6, 8), [6], { name: "learned", learned: true });
    const gain = capture(Float32Array.of(1.5), [], { name: "gain", learned: true });
    const hook = scoreHook({ id: "mix", program: scoreMod`score * ${gain} + ${slopes}[h] * (q - kv) + ${learned}[kv]` });
    const mask = and(causal(), document(Int32Array.of(0, 0, 0, 1, 1, 1)), custom(maskMod`kv != 1`));
    const bias = uniform(6 * 6, 9);
    const [starts, lengths] = [[0, 1], [6, 5]];
    const want = { ...inputs64(data), mask, scale: 0.5, score: [hook], bias: array64(bias, [1, 1, 6, 6]), starts, lengths };
    const result = referenceAttention(want);
    const dO = uniform(result.o.data.length, 10);
    const gradients = referenceGradients(want, array64(dO, result.o.shape));
    const x = leaves(data);
    const table = engine.tensor(learned.data, [6], { requiresGrad: true });
    const factor = engine.tensor(gain.data, [], { requiresGrad: true });
    const shared = engine.tensor(bias, [1, 1, 6, 6], { requiresGrad: true });
    const limits = { starts: engine.tensor(starts, [2], { dtype: "i32" }), lengths: engine.tensor(lengths, [2], { dtype: "i32" }) };
    const o = engine.scope(() => {
      const out = unfusedAttention({ ...plain, ...x, ...limits, mask, bias: shared, score: [{ hook, params: { learned: table, gain: factor } }] });
      out.o.backward(engine.tensor(dO, result.o.shape));
      return out.o;
    });
    assertClose(await o.read(), result.o.data, { label: "o" });
    assertClose(await table.grad!.read(), gradients.captures.get(learned)!.data, { rule: GRADIENT, label: "dtable" });
    assertClose(await factor.grad!.read(), gradients.captures.get(gain)!.data, { rule: GRADIENT, label: "dgain" });
    assertClose(await shared.grad!.read(), gradients.bias!.data, { rule: GRADIENT, label: "dbias" });
    for (const name of ["q", "k", "v"] as const) assertClose(await x[name].grad!.read(), gradients[name].data, { rule: GRADIENT, label: `d${name}` });
  });

  it("takes a bias of minus infinity for a mask: such a key weighs nothing, a row of them gives zeros", async () => {
    const data = arrays(1, 1, 2, 4);
    const x = leaves(data);
    const bias = engine.tensor([-Infinity, 0, -Infinity, -Infinity], [1, 1, 2, 2]);
    const { o, lse } = engine.scope(() => {
      const out = unfusedAttention({ ...plain, ...x, mask: full(), bias });
      out.o.backward(engine.tensor(uniform(8, 4), [1, 1, 2, 4]));
      return out;
    });
    assertClose(await o.read(), [...data.v.slice(4), 0, 0, 0, 0], { label: "o" });
    expect((await lse.read())[1]).toBe(-Infinity);
    expect([...(await x.q.grad!.read()).slice(4)]).toEqual([0, 0, 0, 0]);
    expect([...(await x.v.grad!.read()).slice(0, 4)]).toEqual([0, 0, 0, 0]);
  });

  it("sees the new value of a scalar that changed, without another pipeline", async () => {
    const cap = scalar(2);
    const hook = scoreHook({ id: "cap", program: scoreMod(({ score }) => score.div(cap).tanh().mul(cap)) });
    const data = arrays(1, 2, 4, 4);
    const x = leaves(data, false);
    const run = (): Promise<ArrayLike<number>> => unfusedAttention({ ...plain, ...x, score: [{ hook, params: {} }] }).lse.read();
    await run();
    const { pipelines } = gpu.stats;
    cap.value = 0.25;
    assertClose(await run(), referenceAttention({ ...inputs64(data), mask: causal(), scale: 0.5, score: [hook] }).lse.data, { label: "lse" });
    expect(gpu.stats.pipelines).toBe(pipelines);
  });

  it("drops weights and repeats the same ones under a checkpoint", async () => {
    const data = arrays(1, 2, 9, 4);
    const gradientOf = async (wrap: (f: (q: Tensor) => Tensor, q: Tensor) => Tensor): Promise<ArrayLike<number>> => {
      const { q, k, v } = leaves(data);
      engine.randomPosition = 40;
      engine.scope(() => { sum(wrap((t) => unfusedAttention({ ...plain, q: t, k, v, dropout: 0.5 }).o, q)).backward(); });
      return q.grad!.read();
    };
    const direct = await gradientOf((f, q) => f(q));
    expect(await gradientOf((f, q) => checkpoint(f, q))).toEqual(direct);
    const { q, k, v } = leaves(data, false);
    const [dropped, whole] = [await unfusedAttention({ ...plain, q, k, v, dropout: 0.5 }).o.read(), await unfusedAttention({ ...plain, q, k, v }).o.read()];
    expect(dropped).not.toEqual(whole);
  });

  it("reads f16, and computes in f32", async () => {
    const data = arrays(1, 2, 5, 4);
    const { q, k, v } = leaves(data, false);
    const [q16, k16, v16] = [cast(q, "f16"), cast(k, "f16"), cast(v, "f16")];
    const got = unfusedAttention({ ...plain, q: q16, k: k16, v: v16 });
    expect(got.o.dtype).toBe("f32");
    assertClose(await got.o.read(), referenceAttention({ ...inputs64(data), mask: causal(), scale: 0.5 }).o.data, { rule: ONNX_F16, label: "o" });
  });

  it("frees all that a forward and a backward pass made", () => {
    const x = leaves(arrays(1, 4, 8, 4));
    const before = gpu.stats.liveBytes;
    for (const used of ["o", "lse"] as const) engine.scope(() => { sum(unfusedAttention({ ...plain, ...x })[used]).backward(); });
    engine.scope(() => { unfusedAttention({ ...plain, ...x }); });
    for (const t of [x.q, x.k, x.v]) t.zeroGrad();
    expect(gpu.stats.liveBytes).toBe(before);
  });

  it("gives the same bits on every run", async () => {
    const data = arrays(2, 4, 33, 8);
    const once = async (): Promise<ArrayLike<number>[]> => {
      const x = leaves(data);
      const { o } = engine.scope(() => {
        const out = reference.run({ ...plain, ...x });
        out.o.backward(engine.tensor(uniform(data.q.length, 4), data.shape));
        return out;
      });
      return [await o.read(), await x.q.grad!.read(), await x.k.grad!.read(), await x.v.grad!.read()];
    };
    expect(await once()).toEqual(await once());
  });

  it("names the shapes that do not fit", () => {
    const [a, b] = [engine.zeros([1, 4, 2, 4]), engine.zeros([1, 3, 2, 4])];
    expect(() => unfusedAttention({ ...plain, q: a, k: b, v: b })).toThrow(/ATTN_SHAPE.*q has 4 heads and k has 3/s);
    expect(() => unfusedAttention({ ...plain, q: a, k: a, v: engine.zeros([1, 4, 3, 4]) })).toThrow(/ATTN_SHAPE.*v is \[1, 4, 3, 4\]/s);
    expect(() => unfusedAttention({ ...plain, q: a, k: a, v: a, bias: engine.zeros([1, 4, 2, 3]) })).toThrow(/ATTN_SHAPE.*bias is \[1, 4, 2, 3\]/s);
    expect(() => unfusedAttention({ ...plain, q: a, k: a, v: a, lengths: engine.zeros([1]) })).toThrow(/ATTN_SHAPE.*lengths is f32/s);
    const hook = scoreHook({ id: "bias", program: scoreMod`score + ${capture(Float32Array.of(1), [1], { name: "t", learned: true })}[0]` });
    expect(() => unfusedAttention({ ...plain, q: a, k: a, v: a, score: [{ hook, params: {} }] })).toThrow(/ATTN_TABLE.*'bias' learns 't'.*no tensor/s);
  });
});
