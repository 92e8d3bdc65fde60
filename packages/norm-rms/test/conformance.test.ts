import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { checkGradients, onEngine, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { rms } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

describe("rms norm", () => {
  for (const [rows, width] of [[1, 7], [5, 100], [3, 129]] as const) {
    it(`equals its formula in float64, with every gradient: ${rows} rows of ${width}`, async () => {
      const made = rms.create({ epsilon: 1e-3 }, { width });
      const params = Object.fromEntries(Object.entries(made.params).map(([name, { shape }], i) => [name, { shape, data: uniform(width, 10 + i).map((x) => 1 + x) }]));
      await checkGradients(
        {
          inputs: { x: { shape: [rows, width], data: uniform(rows * width, 1).map((x) => 3 * x + 1) }, ...params },
          reference: ({ x, ...gains }) => made.reference(x!, width, gains),
          run: onEngine(engine, ({ x, ...gains }) => made.apply(x!, gains)),
        },
        { entries: 15 },
      );
    });
  }

  it("learns a gain from one, which does not decay", () => {
    expect(rms.create({}, { width: 4 }).params["weight"]).toEqual({ shape: [4], init: "ones", decay: false });
  });
});
