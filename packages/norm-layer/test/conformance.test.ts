import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { normLaws } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { layer } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
afterAll(() => { gpu.dispose(); });

describe("layer norm", () => {
  for (const { name, check } of normLaws(createEngine(gpu), (width) => layer.create({ epsilon: 1e-3 }, { width }))) it(name, check);

  it("learns a gain from one, which does not decay", () => {
    expect(layer.create({}, { width: 4 }).params["weight"]).toEqual({ shape: [4], init: "ones", decay: false });
  });

  it("has no bias where none is wanted", () => {
    expect(Object.keys(layer.create({ bias: false }, { width: 4 }).params)).toEqual(["weight"]);
  });
});
