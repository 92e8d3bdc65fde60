import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, it } from "vitest";
import { mixture } from "../src/mixture.ts";
import { mixtureReference } from "../src/mixture-reference.ts";
import type { ExpertsConfig } from "../src/mixture-config.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const size = (shape: readonly number[]): number => shape.reduce((p, n) => p * n, 1);

describe("a mixture of experts", () => {
  it.each<[string, number, number, ExpertsConfig]>([
    ["V2", 7, 8, { routed: 6, active: 2, width: 4, shared: 1 }],
    ["V2, groups", 5, 6, { routed: 6, active: 2, width: 5, groups: 3, activeGroups: 2, scale: 1.5 }],
    ["V3", 9, 8, { routed: 8, active: 3, width: 4, shared: 2, scoring: "sigmoid", groups: 4, activeGroups: 2, groupScore: "top2", normalize: true, scale: 2.5, correction: true }],
  ])("%s: %i tokens of width %i", async (_, tokens, width, config) => {
    const layer = mixture(width, config);
    const { params } = layer;
    const given = (shape: readonly number[], seed: number) => ({ shape, data: uniform(size(shape), seed) });
    const specs = Object.entries(params);
    const bias = params["router.correction"] && engine.tensor(uniform(config.routed, 77), [config.routed]);
    await checkGradients(
      {
        inputs: { x: given([tokens, width], 1), ...Object.fromEntries(specs.filter(([name]) => name !== "router.correction").map(([name, { shape }], i) => [name, given(shape, i + 2)])) },
        reference: ({ x, ...rest }) => mixtureReference(x!, width, config, { ...rest, ...(bias && { "router.correction": Float64Array.from(uniform(config.routed, 77)) }) }),
        run: onEngine(engine, ({ x, ...rest }) => layer.apply(x!, { ...rest, ...(bias && { "router.correction": bias }) })),
      },
      { entries: 24 },
    );
  });
});
