import { mha, reference } from "@polyhead/attn-mha";
import { createLab } from "@polyhead/core";
import { tied } from "@polyhead/embed-tied";
import { openNodeGpu } from "@polyhead/gpu-node";
import { decoder } from "@polyhead/model";
import { rms } from "@polyhead/norm-rms";
import { rope } from "@polyhead/pos-rope";
import { createEngine } from "@polyhead/tensor";
import { afterAll, describe, expect, it } from "vitest";
import { AdamW, type AdamWOptions } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
afterAll(() => { gpu.dispose(); });

const lab = createLab(mha, rope, rms, tied, reference, decoder);
const spec = lab.resolve({ layers: 1, width: 8, vocab: 5, context: 4, attention: { use: "mha", heads: 2 }, position: { use: "rope" }, norm: { use: "rms" }, embedding: { use: "tied" } });

/** The gain of the last norm, which starts at 1, after one update at a rate of 0.1. */
async function gainAfter(weightDecay: AdamWOptions["weightDecay"] & {}): Promise<Float32Array> {
  const model = lab.build(spec, createEngine(gpu, { seed: 1 }));
  model.loss(model.ids([0, 1, 2, 3]), model.ids([1, 2, 3, 4])).backward();
  new AdamW(model.parameters, { weightDecay }).step(0.1);
  return Float32Array.from(await model.parameters.get("norm.weight")!.tensor.read());
}

describe("weight decay", () => {
  it("as a number leaves gains and biases alone, as a function is what it says of each", async () => {
    const [plain, number, all] = [await gainAfter(0), await gainAfter(0.5), await gainAfter(({ name }) => (name === "norm.weight" ? 0.5 : 0))];
    expect(number).toEqual(plain);
    // Decoupled: a gain of 1 loses rate · decay of itself beside Adam's own step.
    all.forEach((gain, i) => { expect(plain[i]! - gain).toBeCloseTo(0.1 * 0.5, 6); });
  });
});
