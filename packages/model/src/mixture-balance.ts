import { formula } from "@polyhead/core";
import { map, mean, type Tensor } from "@polyhead/tensor";

const moved = formula({ bias: "f32", load: "f32", mean: "f32", speed: "f32" })`load > mean ? bias - speed : (load < mean ? bias + speed : bias)`;

/**
 * Balances experts without an auxiliary loss (DeepSeek-V3, arXiv:2412.19437, §2.1.2): after a training step, the correction of every
 * expert with more tokens than the mean falls by `speed`, that of one with fewer rises by it. In place, and outside of the tape.
 *
 * @param correction  f32 `[routed]`: the parameter `router.correction`
 * @param loads       f32 `[routed]`: tokens of every expert in the step, from `expertLoads`; sums of several batches will do
 * @param speed       V3 trains with 0.001
 */
export function updateCorrection(correction: Tensor, loads: Tensor, speed: number): void {
  const { engine } = correction;
  engine.noGrad(() => {
    engine.scope(() => { engine.assign(correction, map(moved, { bias: correction, load: loads, mean: mean(loads), speed })); });
  });
}
