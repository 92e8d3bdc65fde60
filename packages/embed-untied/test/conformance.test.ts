import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine } from "@polyhead/tensor";
import { embeddingLaws, uniform } from "@polyhead/testkit";
import { afterAll, describe, expect, it } from "vitest";
import { untied, embedReference, logitsReference } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const [vocab, width] = [11, 5];
const layer = untied.create({}, { width, layers: 1, context: 8, vocab, dropout: 0, causal: true });

describe("untied embedding", () => {
  const ids = (values: readonly number[], shape: readonly number[]) => engine.tensor(values, shape, { dtype: "u32" });
  for (const { name, check } of embeddingLaws(engine, { layer, vocab, width, table: "weight", head: "head", ids })) it(name, check);

  it("has two tables, as its reference says", () => {
    const tables = { weight: Float64Array.from(uniform(vocab * width, 1)), head: Float64Array.from(uniform(vocab * width, 2)) };
    expect(layer.tied).toBe(false);
    expect([...embedReference([4], tables, width)]).toEqual([...tables.weight.subarray(4 * width, 5 * width)]);
    const unit = Float64Array.from({ length: width }, (_, i) => (i === 2 ? 1 : 0));
    expect(logitsReference(unit, tables, width)[7]).toBe(tables.head[7 * width + 2]);
  });
});
