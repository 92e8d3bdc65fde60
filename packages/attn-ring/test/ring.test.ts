import { afterAll, describe, expect, it } from "vitest";
import { and, capture, causal, custom, document, full, maskMod, prefix, scoreHook, scoreMod, window, type KernelPlugin, type Mask, type ScoreHook } from "@polyhead/core";
import type { Tensor } from "@polyhead/tensor";
import { LAYOUTS, positionsOf } from "../src/index.ts";
import { greatestError, World, type WholeProblem } from "./world.ts";

const world = new World();
afterAll(() => { world.dispose(); });

const TOLERANCE = 1e-5;
const small = { heads: 4, kvHeads: 2, d: 8 };

const slopes = capture(Float32Array.of(0.5, 0.25, 0.125, 0.0625), [4], { name: "slopes" });
const alibi: ScoreHook = scoreHook({ id: "alibi", program: scoreMod`score + ${slopes}[h] * (kv - q)` });
const byDistance = capture(new Float32Array(4 * 17), [4, 17], { name: "distances", learned: true });
const relative: ScoreHook = scoreHook({ id: "relative", program: scoreMod`score + ${byDistance}[h, clamp(kv - q, -8, 8) + 8]` });
const documents = document(Int32Array.from({ length: 64 }, (_, i) => (i < 11 ? 0 : i < 40 ? 1 : 2)));

describe("a ring of devices", () => {
  const masks: readonly (readonly [string, Mask])[] = [["causal", causal()], ["full", full()], ["window", window(6, 2)]];
  for (const [name, mask] of masks) {
    it(`finds what one device finds, in all layouts, on 1, 2, 3, 4 ranks: ${name}`, async () => {
      const problem: WholeProblem = { ...small, batch: 2, length: 37, mask, score: name === "window" ? [] : [alibi] };
      const want = await world.alone(problem);
      for (const layout of LAYOUTS) {
        for (const ranks of [1, 2, 3, 4]) {
          const error = greatestError(await world.together(problem, ranks, { layout }), want);
          expect({ layout, ranks, right: error <= TOLERANCE, error }).toEqual({ layout, ranks, right: true, error });
        }
      }
    });
  }
});
