import { expect, test } from "vitest";
import { centralDifference, checkGradients, uniform, type GradientCase } from "../src/index.ts";

/** y = a·x², with everything right unless a fault says otherwise. */
function square(fault: (gradients: { x: number[]; a: number[] }) => { x?: number[]; a?: number[] } = (right) => right, output = 1): GradientCase {
  return {
    inputs: { x: { shape: [2, 3], data: uniform(6, 1) }, a: { shape: [1], data: [0.3] } },
    reference: ({ x, a }) => x!.map((value) => a![0]! * value * value),
    run: (inputs, seed) => {
      const x = [...inputs["x"]!.data];
      const [a] = inputs["a"]!.data;
      const g = seed(6);
      const right = { x: x.map((value, i) => 2 * a! * value * g[i]!), a: [x.reduce((sum, value, i) => sum + value * value * g[i]!, 0)] };
      return Promise.resolve({ output: x.map((value) => output * a! * value * value), gradients: fault(right) });
    },
  };
}

test("a right function passes, by every entry", async () => {
  const found = await checkGradients(square());
  expect(Object.keys(found)).toEqual(["output", "x", "a"]);
  expect(Object.values(found).every(({ pass, maxRatio }) => pass && maxRatio < 0.1)).toBe(true);
});

test("a wrong forward, a wrong gradient, a missing one and one of the wrong size are each found and named", async () => {
  await expect(checkGradients(square(undefined, 1.001))).rejects.toThrow("the output: 5 of 6 differ, worst at");
  await expect(checkGradients(square(({ x, a }) => ({ x: x.map((value, i) => (i === 4 ? value * 1.01 : value)), a })))).rejects.toThrow("the gradient of 'x': 1 of 6 differ, worst at [1, 1]");
  await expect(checkGradients(square(({ x }) => ({ x })))).rejects.toThrow("[COMPARE_LENGTH] got 0 numbers, want 1");
  await expect(checkGradients(square(({ x, a }) => ({ x: x.slice(1), a })), { entries: 2 })).rejects.toThrow("[COMPARE_LENGTH] got 5 numbers, want 2");
});

test("a gradient by closed form is checked whole, and a wrong closed form is found", async () => {
  const analytic: GradientCase["analytic"] = ({ x, a }, seed) => ({ x: x!.map((value, i) => 2 * a![0]! * value * seed[i]!), a: [x!.reduce((sum, value, i) => sum + value * value * seed[i]!, 0)] });
  await expect(checkGradients({ ...square(), analytic })).resolves.toMatchObject({ x: { pass: true }, a: { pass: true } });
  const wrong: GradientCase["analytic"] = (inputs, seed) => ({ ...analytic(inputs, seed), a: [0] });
  await expect(checkGradients({ ...square(), analytic: wrong })).rejects.toThrow("the gradient of 'a'");
});

test.each([
  ["sin", Math.sin, Math.cos, 0.5],
  ["cube", (x: number) => x ** 3, (x: number) => 3 * x * x, -30],
  ["log", Math.log, (x: number) => 1 / x, 1e4],
])("central differences of %s are good to nine digits, and put the point back", (_name, f, derivative, at) => {
  const x = Float64Array.of(7, at);
  const [got] = centralDifference((moved) => f(moved[1]!), x, [1]);
  expect(Math.abs(got! / derivative(at) - 1)).toBeLessThan(1e-9);
  expect([...x]).toEqual([7, at]);
});
