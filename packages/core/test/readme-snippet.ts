import { and, array64, causal, custom, document, maskMod, referenceAttention, scoreHook, scoreMod } from "@polyhead/core";

/* eslint-disable no-console -- a README prints */
/** The README's snippet; its test holds the two together. */
export function snippet(): Float64Array {
  // README begins
  const softcap = scoreHook({ id: "softcap", program: scoreMod`30.0 * tanh(score / 30.0)` });
  const near = custom(maskMod`q - kv < 128`);
  const mask = and(causal(), near, document(Int32Array.of(0, 0, 1, 1)));

  const q = array64([1, 0, 0, 1, 1, 1, 0, 0], [1, 1, 4, 2]); // [batch, heads, rows, features]
  const { o, lse, stages } = referenceAttention({ q, k: q, v: q, mask, score: [softcap] });
  console.log(o.data, lse.data, stages.masked.data);
  // README ends
  return o.data;
}
