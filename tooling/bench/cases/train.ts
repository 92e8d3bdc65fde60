import type { Case, Contender } from "../contender.ts";
import { benchShape, gptFlops, gptProblem, type GptProblem } from "./gpt-problem.ts";
import { referenceLosses } from "./train-losses.ts";

/**
 * One training step: forward, backward, Adam. A contender is right when its loss at every step that the float64
 * reference has walked is within 1e-3 of it: the first loss checks the forward pass, the later ones gradients and Adam.
 */
export function trainCase(contenders: readonly Contender<GptProblem>[]): Case<GptProblem> {
  const { layers, width } = benchShape;
  return {
    bench: "train",
    name: `gpt ${String(layers)}×${String(width)}`,
    problem: gptProblem(benchShape),
    contenders,
    flops: gptFlops(benchShape),
    perRun: 1,
    warmups: 3,
    error: (output, step) => lossError(output, referenceLosses[step]),
    tolerance: 1e-3,
  };
}

/** Past the last reference loss only a loss that is not finite is an error. */
export function lossError(output: Float32Array, want: number | undefined): number {
  const [loss = NaN] = output;
  if (want !== undefined) return Math.abs(loss - want);
  return Number.isFinite(loss) ? 0 : NaN;
}
