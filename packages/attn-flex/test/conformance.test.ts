import { defineKernelPlugin, type KernelPlugin } from "@polyhead/core";
import { openNodeGpu } from "@polyhead/gpu-node";
import { add, cast, createEngine, mul, sum, type Tensor } from "@polyhead/tensor";
import { kernelLaws } from "@polyhead/testkit";
import { afterAll, describe, it } from "vitest";
import { attend } from "../src/attend.ts";
import { flex } from "../src/index.ts";

const least = { limits: "default", features: "none" } as const;
const [bare, clean] = [await openNodeGpu({ ...least, poison: true }), await openNodeGpu(least)];
afterAll(() => { bare.dispose(); clean.dispose(); });

/** Flex over lists of small blocks for every mask, however few its cells: ranges of keys, which it leaves to flash otherwise, too. */
const listed: KernelPlugin<"flex", Tensor> = defineKernelPlugin({
  ...flex,
  unsupported: ({ dropout }) => (dropout ? ["attention dropout is on"] : []),
  run: (inputs) => attend(inputs, { queryBlock: 16, keyBlock: 32, ranges: true, leastQueries: 1, leastKeys: 1 }),
});

describe("flex, on the least that WebGPU guarantees", () => {
  for (const { name, check } of kernelLaws({ kernel: listed, engine: createEngine(bare), clean: createEngine(clean), ops: { add, cast, mul, sum }, cover: "once" })) it(name, check);
});
