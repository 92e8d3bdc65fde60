import { openNodeGpu } from "@polyhead/gpu-node";
import { generate } from "@polyhead/model";
import { createEngine } from "@polyhead/tensor";
import { trainOnText } from "@polyhead/train";
import { afterAll, expect, it } from "vitest";
import { ORDERS, toy } from "../model.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none" });
afterAll(() => { gpu.dispose(); });

const counts = new Set<number>();

it.each(ORDERS)("the toy learns from its first updates in the order %s, and generates", async (order) => {
  const engine = createEngine(gpu, { seed: 1 });
  const losses: number[] = [];
  const { model } = await trainOnText("The whale! The whale! Up helm, up helm! ".repeat(20), { build: (vocab) => toy(order, vocab, engine), steps: 3, batch: 2, reportEvery: 3, onRecord: ({ loss }) => { losses.push(loss); } });
  const [first, , third, validation] = losses;
  expect(third).toBeLessThan(first!);
  expect(validation).toBeLessThan(first!);
  counts.add(model.parameters.count);
  const ids: number[] = [];
  for await (const id of generate(model, [1, 2, 3], { tokens: 4, temperature: 0 })) ids.push(id);
  expect(ids).toHaveLength(4);
});

it("the orders that are compared have the same number of parameters", () => {
  expect(counts.size).toBe(1);
});
