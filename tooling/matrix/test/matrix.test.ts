import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { coveringRows } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { AXES, keyOf } from "../combination.ts";
import { MatrixRunner } from "../run.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const runner = new MatrixRunner(createEngine(gpu));
afterAll(() => { gpu.dispose(); });

// Fused kernels take a second to compile for every new pair of hook and mask: the reference takes the rows that they need not.
const rows = coveringRows(AXES, { seed: 4, cost: ({ kernel }) => (kernel === "reference" ? 0 : 3) });

describe("every two choices meet in a layer that agrees with float64, or is refused with a sentence", () => {
  for (const row of rows) {
    it(keyOf(row), async () => {
      const outcome = await runner.run(row);
      if ("refusal" in outcome) expect(outcome.refusal).toMatch(/\w+ \w+/);
      else expect(outcome.pass, `${outcome.where} is off by ${outcome.error}`).toBe(true);
    });
  }
});
