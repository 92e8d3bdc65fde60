import { openGpu } from "@polyhead/gpu";
import { generate } from "@polyhead/model";
import { createEngine } from "@polyhead/tensor";
import { expect, test } from "vitest";
import { toy } from "../model.ts";

test("a browser builds the model of Node, and generates with it", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  expect(adapter).not.toBeNull();
  const gpu = await openGpu(adapter!);
  const model = toy(40, createEngine(gpu, { seed: 1 }));
  const ids: number[] = [];
  for await (const id of generate(model, [1, 2, 3], { tokens: 4, temperature: 0 })) ids.push(id);
  expect(ids).toHaveLength(4);
  for (const id of ids) expect(id).toBeLessThan(40);
  model.dispose();
  gpu.dispose();
});
