import { capture, causal, custom, maskMod, scalar, scoreHook, scoreMod, type Mask, type ScoreHook } from "@polyhead/core";
import { defineKernel, type Kernel } from "@polyhead/gpu";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { flashAttention, kernelCache } from "../src/kernel.ts";
import { KernelCache } from "../src/kernels/kernel-cache.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none" });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const x = (rows: number) => engine.tensor(uniform(rows * 8, 1), [1, 1, rows, 8]);

/** Kernels and pipelines that one attention adds. */
function added({ mask = causal(), score = [], rows = 5, offset = 0 }: { readonly mask?: Mask; readonly score?: readonly ScoreHook[]; readonly rows?: number; readonly offset?: number }): number[] {
  const before = [kernelCache.compiled, gpu.stats.pipelines] as const;
  engine.noGrad(() => engine.scope(() => { flashAttention({ q: x(rows), k: x(rows), v: x(rows), mask, scale: 0.4, qOffset: offset, kvOffset: 0, qk: [], dropout: 0, score: score.map((hook) => ({ hook, params: {} })) }); }));
  return [kernelCache.compiled - before[0], gpu.stats.pipelines - before[1]];
}

const bent = (cap: number, slopes: readonly number[]): ScoreHook => {
  const [limit, table] = [scalar(cap), capture(Float32Array.from(slopes), [slopes.length])];
  return scoreHook({ id: "bent", program: scoreMod`${limit} * tanh(score / ${limit}) + ${table}[h] * (q - kv)` });
};

describe("the kernels that are held", () => {
  it("are compiled anew by no value: of a scalar, of a table, of a length, of an offset", () => {
    expect(added({ score: [bent(2, [0.5])] })).toEqual([1, 1]);
    expect(added({ score: [bent(3, [0.25])] })).toEqual([0, 0]);
    expect(added({ score: [bent(3, [0.25])], rows: 7, offset: 3 })).toEqual([0, 0]);
    expect(added({ score: [bent(3, [0.25, 0.5])] })).toEqual([1, 1]);
  });

  it("are those of one structure: masks that say the same share one", () => {
    expect(added({ mask: custom(maskMod`kv <= q && (q + kv) % 2 == 0`) })).toEqual([1, 1]);
    expect(added({ mask: custom(maskMod`kv <= q && (q + kv) % 2 == 0`) })).toEqual([0, 0]);
  });
});

describe("a cache of kernels", () => {
  const build = (): Kernel => defineKernel({ name: "none", bindings: {}, code: "" });

  it("drops the one whose use is longest ago when one too many comes", () => {
    const cache = new KernelCache(3);
    const first = ["a", "b", "c"].map((key) => cache.get(key, build));
    expect(cache.get("a", build)).toBe(first[0]);
    cache.get("d", build);
    expect([cache.size, cache.compiled]).toEqual([3, 4]);
    expect(cache.get("a", build)).toBe(first[0]);
    expect(cache.get("c", build)).toBe(first[2]);
    expect(cache.get("b", build)).not.toBe(first[1]);
  });

  it("of this package's size drops the first structure at the 257th", () => {
    const cache = new KernelCache(kernelCache.limit);
    const first = cache.get("0", build);
    for (let n = 1; n < 256; n++) cache.get(String(n), build);
    expect(cache.get("0", build)).toBe(first);
    for (let n = 256; n < 512; n++) cache.get(String(n), build);
    expect([cache.size, cache.get("0", build) === first]).toEqual([256, false]);
  });
});
