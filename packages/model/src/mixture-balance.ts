import { formula, PolyheadError } from "@polyhead/core";
import { add, expertLoads, map, mean, type Routing, type Tensor } from "@polyhead/tensor";
import type { Parameters } from "./parameters.ts";

const moved = formula({ bias: "f32", load: "f32", mean: "f32", speed: "f32" })`load > mean ? bias - speed : (load < mean ? bias + speed : bias)`;

/**
 * Balances experts without an auxiliary loss (DeepSeek-V3, arXiv:2412.19437, §2.1.2): after a training step, the correction of every
 * expert with more tokens than the mean falls by `speed`, that of one with fewer rises by it. In place, and outside of the tape.
 *
 * @param correction  f32 `[routed]`: a parameter `router.correction`
 * @param loads       f32 `[routed]`: tokens of every expert in the step, from `expertLoads`; sums of several batches will do
 * @param speed       V3 was trained with 0.001
 */
export function updateCorrection(correction: Tensor, loads: Tensor, speed: number): void {
  const { engine } = correction;
  engine.noGrad(() => {
    engine.scope(() => { engine.assign(correction, map(moved, { bias: correction, load: loads, mean: mean(loads), speed })); });
  });
}

interface Balanced {
  readonly correction: Tensor;
  /** Tokens of every expert since the last step. */
  readonly loads: Tensor;
}

/**
 * `updateCorrection` for every mixture of a model: pass `observe` to the forward passes of a training step as `observeRouting`, then
 * call `step()`. Both may be recorded with the step.
 */
export class ExpertBalance {
  readonly #parameters: Parameters;
  readonly #speed: number;
  readonly #mixtures = new Map<string, Balanced>();

  /** @param speed  how far a correction moves in a step; V3 was trained with 0.001 */
  constructor(parameters: Parameters, speed: number) {
    this.#parameters = parameters;
    this.#speed = speed;
  }

  /**
   * Adds the loads of a routing to those of the mixture whose parameters are at `path`.
   *
   * @throws PolyheadError `EXPERTS_CORRECTION` for a mixture without a correction.
   */
  readonly observe = (path: string, { experts }: Routing): void => {
    const { correction, loads } = this.#mixtureAt(path);
    const { engine } = loads;
    engine.noGrad(() => {
      engine.scope(() => { engine.assign(loads, add(loads, expertLoads(experts, correction.size))); });
    });
  };

  /**
   * Tokens of every expert since the last step, f32 `[routed]` a mixture, in the order in which they were first heard of. Where
   * several ranks train, `step()` must find here the sums over all of them.
   */
  get loads(): readonly Tensor[] {
    return [...this.#mixtures.values()].map(({ loads }) => loads);
  }

  /** Moves the corrections by the loads since the last step, and forgets those. */
  step(): void {
    for (const { correction, loads } of this.#mixtures.values()) {
      const { engine } = loads;
      updateCorrection(correction, loads, this.#speed);
      engine.scope(() => { engine.assign(loads, engine.zeros(loads.shape)); });
    }
  }

  dispose(): void {
    for (const { loads } of this.#mixtures.values()) loads.dispose();
    this.#mixtures.clear();
  }

  #mixtureAt(path: string): Balanced {
    const known = this.#mixtures.get(path);
    if (known !== undefined) return known;
    const correction = this.#parameters.get(`${path}.router.correction`)?.tensor;
    if (correction === undefined) throw new PolyheadError("EXPERTS_CORRECTION", `the mixture at '${path}' has no correction to move`, "build the model with experts: { …, correction: true }");
    const { engine } = correction;
    const made = { correction, loads: engine.keep(engine.zeros(correction.shape)) };
    this.#mixtures.set(path, made);
    return made;
  }
}
