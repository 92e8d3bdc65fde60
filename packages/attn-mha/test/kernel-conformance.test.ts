import { openNodeGpu } from "@polyhead/gpu-node";
import { add, cast, createEngine, mul, sum } from "@polyhead/tensor";
import { kernelLaws } from "@polyhead/testkit";
import { afterAll, describe, it } from "vitest";
import { reference } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const clean = await openNodeGpu({ limits: "default", features: "none" });
afterAll(() => { gpu.dispose(); clean.dispose(); });

describe("the reference kernel", () => {
  for (const { name, check } of kernelLaws({ kernel: reference, engine: createEngine(gpu), clean: createEngine(clean), ops: { add, cast, mul, sum }, inlineQk: true, cover: "once" })) it(name, check);
});
