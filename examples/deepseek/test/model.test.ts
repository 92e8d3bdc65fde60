import { openNodeGpu } from "@polyhead/gpu-node";
import { generate } from "@polyhead/model";
import { createEngine } from "@polyhead/tensor";
import { trainOnText } from "@polyhead/train";
import { afterAll, expect, it } from "vitest";
import { toy } from "../model.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none" });
afterAll(() => { gpu.dispose(); });

it("the toy learns from its first updates, moves the corrections of its experts, and generates", async () => {
  const engine = createEngine(gpu, { seed: 1 });
  const losses: number[] = [];
  const { model } = await trainOnText("The whale! The whale! Up helm, up helm! ".repeat(20), { build: (vocab) => toy(vocab, engine), steps: 3, batch: 2, reportEvery: 3, expertSpeed: 0.5, onRecord: ({ loss }) => { losses.push(loss); } });
  const [first, , third, validation] = losses;
  expect(third).toBeLessThan(first!);
  expect(validation).toBeLessThan(first!);
  const correction = await model.parameters.get("blocks.1.feedForward.router.correction")!.tensor.read();
  // Each of three updates moves it by half up or down, or not at all.
  expect([...correction].every((value) => Math.abs(value) <= 1.5 && Number.isInteger(2 * value))).toBe(true);
  expect(new Set(correction).size).toBeGreaterThan(1);
  const ids: number[] = [];
  for await (const id of generate(model, [1, 2, 3], { tokens: 4, temperature: 0 })) ids.push(id);
  expect(ids).toHaveLength(4);
});
