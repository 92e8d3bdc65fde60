import { openNodeGpu } from "@polyhead/gpu-node";
import { afterAll, describe, expect, it } from "vitest";
import { createEngine, linearCrossEntropy, scale } from "../src/index.ts";
import { numbers, relativeError } from "./reference/compare.ts";
import { numericGradient } from "./reference/numeric-gradient.ts";
import { crossEntropyReference } from "./reference/softmax.ts";

const gpu = await openNodeGpu({ limits: "default", features: "none", poison: true });
const engine = createEngine(gpu);
afterAll(() => { gpu.dispose(); });

const [n, d, v] = [7, 5, 11];
const [hidden, weight] = [numbers(n * d, 1), numbers(v * d, 2)];
const targets = [1, 3, 99, 0, 10, 99, 4];

/** Mean over the rows that count of −log softmax(h · wᵀ)[target]. */
function reference(h: ArrayLike<number>, w: ArrayLike<number>): number[] {
  const logits = Float64Array.from({ length: n * v }, (_, i) => {
    let sum = 0;
    for (let c = 0; c < d; c++) sum += h[Math.floor(i / v) * d + c]! * w[(i % v) * d + c]!;
    return sum;
  });
  return [crossEntropyReference(logits, v, targets, 99).reduce((a, b) => a + b, 0) / 5];
}

describe.each([1, 2, 3, 7, undefined])("linearCrossEntropy in chunks of %s rows", (chunk) => {
  it("is its formula in float64, with the gradients that finite differences find", async () => {
    const [h, w] = [engine.tensor(hidden, [n, d], { requiresGrad: true }), engine.tensor(weight, [v, d], { requiresGrad: true })];
    const loss = engine.scope(() => {
      const value = linearCrossEntropy(h, w, engine.tensor(targets, [n], { dtype: "u32" }), { ignoreIndex: 99, ...(chunk !== undefined && { chunk }) });
      scale(value, 3).backward();
      return value;
    });
    expect(relativeError(await loss.read(), reference(hidden, weight))).toBeLessThan(1e-5);
    expect(relativeError(await h.grad!.read(), numericGradient((x) => reference(x, weight), hidden, [3]))).toBeLessThan(1e-4);
    expect(relativeError(await w.grad!.read(), numericGradient((x) => reference(hidden, x), weight, [3]))).toBeLessThan(1e-4);
  });
});

it("gives a gradient to the one operand that learns, and frees everything else", async () => {
  const t = engine.tensor(targets, [n], { dtype: "u32" });
  const [h, w] = [engine.tensor(hidden, [n, d]), engine.tensor(weight, [v, d], { requiresGrad: true })];
  const before = gpu.stats.liveBytes;
  engine.scope(() => { linearCrossEntropy(h, w, t, { ignoreIndex: 99, chunk: 2 }).backward(); });
  expect(h.grad).toBeUndefined();
  expect(relativeError(await w.grad!.read(), numericGradient((x) => reference(hidden, x), weight, [1]))).toBeLessThan(1e-4);
  w.zeroGrad();
  engine.noGrad(() => engine.scope(() => { linearCrossEntropy(h, w, t, { ignoreIndex: 99, chunk: 2 }); }));
  expect(gpu.stats.liveBytes).toBe(before);
});

it("never holds the logits of all rows", () => {
  const [rows, vocab, chunk] = [512, 4096, 64];
  const [h, w] = [engine.zeros([rows, 4]), engine.zeros([vocab, 4])];
  w.requiresGrad = true;
  const t = engine.zeros([rows], "u32");
  const before = gpu.stats.peakBytes;
  engine.scope(() => { linearCrossEntropy(h, w, t, { chunk }).backward(); });
  // A chunk's logits and their gradient, beside operands and gradients.
  expect(Math.max(before, gpu.stats.peakBytes)).toBeLessThan(4 * (3 * chunk * vocab + 8 * (rows + vocab) * 4));
});

it("names the three shapes when they do not fit, and a chunk that is none", () => {
  expect(() => linearCrossEntropy(engine.zeros([2, 3]), engine.zeros([5, 4]), engine.zeros([2], "u32"))).toThrow(/TENSOR_SHAPE.*\[2, 3\].*\[5, 4\].*\[2\]/s);
  expect(() => linearCrossEntropy(engine.zeros([2, 3]), engine.zeros([5, 3]), engine.zeros([2], "u32"), { chunk: 0 })).toThrow(/TENSOR_VALUE.*0 rows/s);
});
