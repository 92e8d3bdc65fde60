import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { add, cast, createEngine, embedding, linkMany, log, matmul, mul, sqrt, sub, sum, type Tensor } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const leaf = (data: number[], shape: number[] = [data.length]): Tensor => engine.tensor(data, shape, { requiresGrad: true });

/** What an error says, with its cause. */
async function messageOf(work: () => unknown): Promise<string> {
  const error: unknown = await engine.detectAnomaly(work).then(() => undefined, (reason: unknown) => reason);
  return error instanceof Error ? error.message : "nothing was thrown";
}

describe("the anomaly mode", () => {
  it("names the first operator that made NaN out of clean inputs, and where, though later ones pass it on", async () => {
    const message = await messageOf(() => {
      const x = engine.tensor([1, 2, 3, 4, -5, -6], [2, 3]);
      return matmul(add(sqrt(x), 1), engine.tensor([1, 1, 1], [3, 1]));
    });
    expect(message).toBe("[TENSOR_ANOMALY] 'sqrt(x)' made NaN out of clean inputs, first at [1, 1] of shape [2, 3]\n  fix: look at what it is given; the error's cause shows the call");
  });

  it("looks at operators that are not on the tape as well, and at f16", async () => {
    expect(await messageOf(() => engine.noGrad(() => sqrt(engine.tensor([1, -1]))))).toMatch(/'sqrt\(x\)' made NaN .* at \[1\] of shape \[2\]/);
    expect(await messageOf(() => cast(sub(engine.tensor([Infinity, 0, Infinity]), Infinity), "f16"))).toMatch(/'\(a - b\)' made NaN/);
    expect(await messageOf(() => { const half = engine.tensor([0, 1, NaN], [3], { dtype: "f16" }); return cast(half, "f32"); })).toMatch(/'cast' was given NaN .* at \[2\] of shape \[3\]/);
  });

  it("names the operator whose slope is at fault in the backward pass", async () => {
    const x = leaf([4, 0]);
    const message = await messageOf(() => { engine.scope(() => { sum(mul(sqrt(x), engine.tensor([1, 0]))).backward(); }); });
    expect(message).toMatch(/^\[TENSOR_ANOMALY\] the backward pass of 'sqrt\(x\)' made NaN out of a clean gradient, in that of its input 0, first at \[1\] of shape \[2\]/);
  });

  it("names an operator of several outputs, forward and backward", async () => {
    const x = leaf([1, 2]);
    const bad = (): [Tensor, Tensor] => linkMany([engine.noGrad(() => add(x, 1)), engine.noGrad(() => add(x, 2))], {
      name: "twins",
      inputs: [x],
      backward: ([a]) => [engine.full(a!.shape, NaN)],
    });
    expect(await messageOf(() => { engine.scope(() => { const [a, b] = bad(); sum(mul(a, b)).backward(); }); })).toMatch(/the backward pass of 'twins' made NaN .* input 0, first at \[0\] of shape \[2\]/);
  });

  it("says so where NaN was there before any operator", async () => {
    const message = await messageOf(() => add(engine.tensor([0, 0, NaN, 0], [2, 2]), engine.tensor([1, 2])));
    expect(message).toBe("[TENSOR_ANOMALY] '(a + b)' was given NaN that no operator made, first at [1, 0] of shape [2, 2]\n  fix: look at the numbers that were uploaded, and at memory that is written outside of the tape");
  });

  it("speaks at the first read, before what NaN leads to", async () => {
    let reached = false;
    const message = await messageOf(async () => {
      await sqrt(engine.tensor([-1])).read();
      reached = true;
    });
    expect(message).toMatch(/'sqrt\(x\)'/);
    expect(reached).toBe(false);
    expect(await messageOf(() => { sqrt(engine.tensor([-1])); throw new Error("a consequence"); })).toMatch(/'sqrt\(x\)'/);
    expect(await messageOf(() => { throw new Error("of another kind"); })).toBe("of another kind");
  });

  it("shows in its cause who called", async () => {
    const error: unknown = await engine.detectAnomaly(function theCaller() { return sqrt(engine.tensor([-1])); }).then(() => undefined, (reason: unknown) => reason);
    expect(((error as Error).cause as Error).stack).toMatch(/'?sqrt\(x\)'? was called here[\s\S]*theCaller/);
  });

  it("finds nothing in a clean step, gives its result, and infinities are no NaN", async () => {
    const x = leaf([1, 2, 3, 4], [2, 2]);
    const loss = await engine.detectAnomaly(() => engine.scope(() => {
      const y = sum(mul(log(matmul(x, x)), 0.5));
      y.backward();
      return y;
    }));
    expect(await loss.item()).toBeCloseTo(0.5 * Math.log(7 * 10 * 15 * 22), 4);
    expect([...(await engine.detectAnomaly(() => sub(engine.tensor([-Infinity]), 1).read()))]).toEqual([-Infinity]);
  });

  it("costs no kernel when it is off, and leaves no memory behind", async () => {
    const x = engine.tensor([1, 2]);
    const dispatches = (work: () => unknown): number => { const before = gpu.stats.dispatches; work(); return gpu.stats.dispatches - before; };
    const step = (): void => { engine.scope(() => { add(log(x), 1); }); };
    await engine.detectAnomaly(step);
    await gpu.settled();
    const { liveBytes } = gpu.stats;
    const plain = dispatches(step);
    let watched = 0;
    await engine.detectAnomaly(() => { watched = dispatches(step); });
    await gpu.settled();
    expect(dispatches(step)).toBe(plain);
    expect(watched).toBeGreaterThan(plain);
    expect(gpu.stats.liveBytes).toBe(liveBytes);
  });

  it("names an id outside of its table by the operator that read it", async () => {
    const table = leaf([1, 2, 3, 4], [2, 2]);
    expect(await messageOf(() => engine.scope(() => embedding(table, engine.tensor([0, 2], [2], { dtype: "u32" }))))).toMatch(/'embedding' made NaN .* at \[1, 0\] of shape \[2, 2\]/);
  });

  it("refuses what it cannot watch", async () => {
    expect(await messageOf(() => engine.record(() => undefined))).toMatch(/TENSOR_REPLAY.*record\(\) was called within detectAnomaly/);
    expect(await messageOf(() => engine.detectAnomaly(() => undefined))).toMatch(/TENSOR_SCOPE.*within detectAnomaly/);
  });
});
