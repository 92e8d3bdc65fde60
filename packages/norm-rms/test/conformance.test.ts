import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { normLaws } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { rms } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
afterAll(() => { gpu.dispose(); });

describe("rms norm", () => {
  for (const { name, check } of normLaws(createEngine(gpu), (width) => rms.create({ epsilon: 1e-3 }, { width }))) it(name, check);

  it("learns a gain from one, which does not decay", () => {
    expect(rms.create({}, { width: 4 }).params["weight"]).toEqual({ shape: [4], init: "ones", decay: false });
  });
});
