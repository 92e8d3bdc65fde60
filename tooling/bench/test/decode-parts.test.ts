import { describe, expect, it, test } from "vitest";
import { withCeilings } from "../cases/decode-ratios.ts";
import { latentProblem, type LatentProblem } from "../cases/latent-problem.ts";
import { latentReference } from "../cases/latent-reference.ts";
import { tokenMeter } from "../ours/token-meter.ts";
import type { Line } from "../report.ts";
import { sharing } from "../sharing.ts";

describe("what contenders share", () => {
  it("is made once and disposed of by the last to release it; whoever comes later makes it anew", async () => {
    const disposed: number[] = [];
    const shared = sharing<string, number>((value) => { disposed.push(value); });
    let made = 0;
    const take = (): ReturnType<typeof shared.take> => shared.take("key", () => Promise.resolve(++made));
    const [first, second] = [await take(), await take()];
    expect([first.value, second.value]).toEqual([1, 1]);
    first.release();
    await Promise.resolve();
    expect(disposed).toEqual([]);
    second.release();
    await Promise.resolve();
    expect(disposed).toEqual([1]);
    expect((await take()).value).toBe(2);
  });

  it("that cannot be made is asked for again", async () => {
    const shared = sharing<string, number>(() => undefined);
    await expect(shared.take("key", () => Promise.reject(new Error("no memory")))).rejects.toThrow("no memory");
    expect((await shared.take("key", () => Promise.resolve(7))).value).toBe(7);
  });
});

test("a token's JavaScript is the median of the later half of the tokens", () => {
  const stats = { dispatches: 0, submits: 0, replays: 0, bindGroups: 0, pipelines: 0, buffers: 0, liveBytes: 0, peakBytes: 0, heldBytes: 0 };
  let now = 0;
  const meter = tokenMeter({ get stats() { return { ...stats }; } }, () => now);
  for (const ms of [90, 80, 2, 3, 4]) meter.token(() => { now += ms; stats.dispatches += 12; });
  expect([meter.figures(), meter.facts()]).toEqual([{ jsMicroseconds: 3000 }, { "dispatches/token": 12 }]);
});

test("a decoder's line says its share of each ceiling and its lead over native code; yardsticks and wrong lines say nothing", () => {
  const line = (contender: string, role: Line["role"], ms: number, gigabytesPerSecond: number, right = true): Line =>
    ({ bench: "decode", case: "c", contender, ms, gflops: 1, maxError: 0, right, adapter: "a", role, rank: 1, leastMs: ms, firstMs: ms, gigabytesPerSecond });
  const lines = withCeilings([line("we", "ours", 20, 5), line("wrong", "ours", 1, 100, false), line("cpu", "native", 10, 10), line("reading", "yardstick", 5, 20)]);
  expect(lines.map(({ ratios }) => ratios)).toEqual([{ "of reading": 0.25, "times native CPU": 0.5 }, undefined, { "of reading": 0.5 }, undefined]);
});

describe("the float64 step of latent attention", () => {
  const shape = { width: 12, heads: 2, kvRank: 6, nopeDim: 4, ropeDim: 2, valueDim: 3 };
  const close = (a: Float64Array, b: Float64Array): number => a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b[i]!)), 0);

  it("does not mind the order of the rows that it attends to", () => {
    const problem = latentProblem(shape, 5, 2);
    const length = shape.kvRank + shape.ropeDim;
    const turned: LatentProblem = { ...problem, held: Float32Array.from({ length: 5 * length }, (_, i) => problem.held[(4 - Math.floor(i / length)) * length + (i % length)]!) };
    expect(close(latentReference(problem), latentReference(turned))).toBeLessThan(1e-14);
  });

  it("of rows that are all alike is the value of one, however many", () => {
    const one = latentReference(latentProblem(shape, 0, 1));
    expect(close(latentReference(latentProblem(shape, 0, 4)), one)).toBeLessThan(1e-14);
    expect(Math.max(...one)).toBeGreaterThan(0.1);
  });

  it("changes with what the cache holds", () => {
    const problem = latentProblem(shape, 5, 1);
    expect(close(latentReference(problem), latentReference({ ...problem, held: problem.held.map((value) => -value) }))).toBeGreaterThan(0.1);
  });
});
