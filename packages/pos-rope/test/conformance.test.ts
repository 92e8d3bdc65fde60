import type { QkPairHook } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, pairwise } from "@polyhead/tensor";
import { assertClose, checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { rope, rotate, type RopeConfig } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const dims = { width: 20, layers: 1, context: 5000, vocab: 2, dropout: 0, causal: true, heads: 2, headDim: 10 };
const hookOf = (config: RopeConfig): QkPairHook => rope.create(config, dims).hooks[0] as QkPairHook;

describe("rotary position embedding", () => {
  for (const config of [{}, { layout: "interleaved" }, { rotaryDim: 4, base: 500_000 }, { layout: "interleaved", fraction: 0.4 }, { scaling: { ropeType: "dynamic", factor: 2, originalMaxPositionEmbeddings: 4322 } }, { rotaryDim: 8, scaling: { ropeType: "yarn", factor: 4, originalMaxPositionEmbeddings: 1250 } }] as const) {
    it(`equals the rotation in float64, far from the start too, with its gradient: ${JSON.stringify(config)}`, async () => {
      const hook = hookOf(config);
      const offset = 4321;
      const shape = [2, 2, 3, 10];
      await checkGradients({
        inputs: { x: { shape, data: uniform(120, 1) } },
        reference: ({ x }) => Float64Array.from({ length: 12 }, (_, row) => row).reduce<number[]>((all, row) => [...all, ...hook.reference(x!.slice(row * 10, row * 10 + 10), offset + (row % 3), 0)], []),
        run: onEngine(engine, ({ x }) => pairwise(x!, hook.program, { layout: hook.layout, rotaryDim: hook.rotaryDim, positions: { offset } })),
      }, { entries: 20 });
    });
  }

  it("depends on the distance alone: the products of turned vectors are those of any other place", () => {
    const rotation = { base: 10_000, layout: "half", rotaryDim: 10 } as const;
    const [q, k] = [Float64Array.from(uniform(10, 2)), Float64Array.from(uniform(10, 3))];
    const dot = (m: number, n: number): number => rotate(q, m, rotation).reduce((sum, x, i) => sum + x * rotate(k, n, rotation)[i]!, 0);
    expect(dot(107, 100)).toBeCloseTo(dot(7, 0), 9);
  });

  it("takes positions from a tensor where rows are not in order", async () => {
    const hook = hookOf({});
    const x = engine.tensor(uniform(20, 4), [1, 1, 2, 10]);
    const got = await pairwise(x, hook.program, { layout: "half", rotaryDim: 10, positions: engine.tensor([9, 3], [1, 2], { dtype: "u32" }) }).read();
    const data = Float64Array.from(await x.read());
    assertClose(got, [...hook.reference(data.slice(0, 10), 9, 0), ...hook.reference(data.slice(10), 3, 0)]);
  });

  it("refuses to rotate what does not pair up", () => {
    expect(() => hookOf({ rotaryDim: 12 })).toThrow(/ROPE_DIM.*12 elements of heads of 10/s);
    expect(() => rope.create({}, { ...dims, headDim: 7 })).toThrow(/ROPE_DIM/);
  });
});
