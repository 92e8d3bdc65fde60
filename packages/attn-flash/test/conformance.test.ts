import { openNodeGpu } from "@polyhead/gpu-node";
import { add, cast, createEngine, mul, sum } from "@polyhead/tensor";
import { kernelLaws } from "@polyhead/testkit";
import { afterAll, describe, it } from "vitest";
import { flash } from "../src/index.ts";

const least = { limits: "default", features: "none" } as const;
const [bare, clean] = [await openNodeGpu({ ...least, poison: true }), await openNodeGpu(least)];
afterAll(() => { bare.dispose(); clean.dispose(); });

describe("flash, on the least that WebGPU guarantees", () => {
  for (const { name, check } of kernelLaws({ kernel: flash, engine: createEngine(bare), clean: createEngine(clean), ops: { add, cast, mul, sum }, inlineQk: true })) it(name, check);
});
