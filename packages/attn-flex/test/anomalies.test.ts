import { openNodeGpu } from "@polyhead/gpu-node";
import { createEngine, sum, type Tensor } from "@polyhead/tensor";
import { uniform } from "@polyhead/testkit";
import { afterAll, expect, it } from "vitest";
import { createBlockMask, flexAttention, maskMod, scoreMod } from "../src/index.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

it("a modifier that yields NaN is named by the anomaly mode, with the cell and the score it was given", async () => {
  const T = 20;
  const [q, k, v] = [1, 2, 3].map((seed) => engine.tensor(uniform(T * 4, seed), [1, 1, T, 4], { requiresGrad: true })) as [Tensor, Tensor, Tensor];
  const mask = maskMod`kv <= q && (q + kv) % 3 != 0`;
  const attend = (root: ReturnType<typeof scoreMod>): void => {
    engine.scope(() => {
      const blockMask = createBlockMask(engine, mask, { queries: T, keys: T, queryBlock: 16, keyBlock: 16 });
      sum(flexAttention({ q, k, v, scoreMod: [scoreMod`2 * score`, root], blockMask }).o).backward();
    });
  };
  const messageOf = async (root: ReturnType<typeof scoreMod>): Promise<string> => {
    const error: unknown = await engine.detectAnomaly(() => { attend(root); }).then(() => undefined, (reason: unknown) => reason);
    return error instanceof Error ? error.message : "nothing was thrown";
  };
  // q = 17, kv = 15 is allowed, q = 17, kv = 16 is not.
  expect(await messageOf(scoreMod`q == 17 && kv >= 15 ? sqrt(-1 - score * score) : score`)).toMatch(/^\[TENSOR_ANOMALY\] score hook '[^']+' gave NaN at b=0 h=0 q=17 kv=15 from score -?\d\S*\n {2}fix: make it defined/);
  expect(await messageOf(scoreMod`q == 17 && kv == 16 ? sqrt(-1 - score * score) : score`)).toBe("nothing was thrown");
});
