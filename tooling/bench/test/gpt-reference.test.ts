import { expect, test } from "vitest";
import { benchShape, gptProblem, type GptShape } from "../cases/gpt-problem.ts";
import { lossAndGradients, trainInFloat64 } from "../cases/gpt-reference.ts";
import { referenceLosses } from "../cases/train-losses.ts";

const small: GptShape = { layers: 2, width: 6, heads: 2, context: 5, batch: 2, vocab: 7 };

test("the reference's gradients are the slopes of its loss, for every kind of weight", () => {
  const problem = gptProblem(small);
  const weights = Object.fromEntries(Object.entries(problem.weights).map(([name, { data }]) => [name, Float64Array.from(data, (x) => 8 * x)]));
  const { gradients } = lossAndGradients(problem, weights, 0);
  for (const [name, weight] of Object.entries(weights)) {
    for (const cell of [0, weight.length >> 1, weight.length - 1]) {
      const at = (shift: number): number => {
        const shifted = weight.slice();
        shifted[cell]! += shift;
        return lossAndGradients(problem, { ...weights, [name]: shifted }, 0).loss;
      };
      const slope = (at(3e-6) - at(-3e-6)) / 6e-6;
      expect(Math.abs(gradients[name]![cell]! - slope), `${name}[${String(cell)}]`).toBeLessThan(1e-7);
    }
  }
});

test("the loss falls as the reference trains", () => {
  const losses = trainInFloat64(gptProblem(small), 100);
  expect(losses[99]).toBeLessThan(losses[0]! - 0.3);
});

test("the recorded losses begin where the reference begins", () => {
  const [first] = trainInFloat64(gptProblem(benchShape), 1);
  expect(referenceLosses[0]).toBeCloseTo(first!, 8);
});
