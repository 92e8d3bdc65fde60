import { affineConjuncts, capture, captureDerivatives, checkIndices, derivative, emitWgsl, evaluate, intervalOf, linearIndex, maskMod, scalar, scoreMod, truthOf } from "@polyhead/expr";

/* eslint-disable no-console -- a README prints */
/** The README's snippet; its test holds the two together. */
export function snippet(): void {
  // README begins
  const slopes = capture(Float32Array.of(0.5, 0.25), [2], { name: "slopes", learned: true });
  const cap = scalar(30); // cap.value = 20 later changes the value, not the key: nothing recompiles

  const biased = scoreMod`score + ${slopes}[h] * (kv - q)`;
  const capped = scoreMod(({ score }) => score.div(cap).tanh().mul(cap));
  const window = maskMod`kv <= q && q - kv < 128`;

  // 1. a float64 value: the oracle
  console.log(evaluate(biased, { score: 1.5, b: 0, h: 1, q: 3, kv: 2 })); // [1.25]

  // 2. WGSL, woven into a kernel
  const { results } = emitWgsl(biased, {
    vars: { score: "s", b: "b", h: "h", q: "q", kv: "kv" },
    read: ({ name, shape }, index) => `${name}[${linearIndex(shape, index)}]`,
  });
  console.log(results); // ["(s + (slopes[u32(h)] * f32((kv - q))))"]

  // 3. derivatives, by variables and by what is captured
  console.log(evaluate(derivative(capped, "score"), { score: 0, b: 0, h: 0, q: 0, kv: 0 })); // [1]
  console.log(captureDerivatives(biased).map(({ indexVars }) => indexVars)); // [["h"]]

  // 4. intervals: what holds for a whole block of cells
  const block = { b: 0, h: 0, q: [128, 255], kv: [0, 127] } as const;
  console.log(intervalOf(window, block).map(truthOf)); // ["either"]
  console.log(intervalOf(maskMod`kv <= q`, block).map(truthOf)); // [true]
  console.log(affineConjuncts(window).lower); // [{ q: 1, offset: -127 }]
  console.log(checkIndices(biased, { ...block, score: 0, h: [0, 2] }).map(({ sentence }) => sentence)); // ["index 0 of capture 'slopes', h, is 2 at h = 2; expected 0 to 1"]
  // README ends
}
