import { formula } from "@polyhead/expr";
import type { Tensor } from "../tensor.ts";
import { map } from "./map.ts";

const of = formula({ x: "f32" });

const programs = {
  // This way round NaN passes, and the slope at 0 is 0.
  relu: of`x <= 0 ? 0.0 : x`,
  gelu: of`0.5 * x * (1 + erf(x * ${Math.SQRT1_2}))`,
  geluTanh: of`0.5 * x * (1 + tanh(${Math.sqrt(2 / Math.PI)} * (x + 0.044715 * x * x * x)))`,
  silu: of`x * sigmoid(x)`,
  swish: formula({ x: "f32", beta: "f32" })`x * sigmoid(beta * x)`,
  swiglu: formula({ gate: "f32", up: "f32" })`gate * sigmoid(gate) * up`,
  softcap: formula({ x: "f32", cap: "f32" })`cap * tanh(x / cap)`,
};

/** `max(0, x)`, with slope 0 at 0. */
export const relu = (x: Tensor): Tensor => map(programs.relu, { x });
/** `x Φ(x)` with the exact normal distribution function (Hendrycks and Gimpel, arXiv:1606.08415). */
export const gelu = (x: Tensor): Tensor => map(programs.gelu, { x });
/** `gelu` by the tanh approximation of the same paper, as GPT-2 uses it. */
export const geluTanh = (x: Tensor): Tensor => map(programs.geluTanh, { x });
/** `x σ(βx)`: SiLU, or swish with another β (Ramachandran et al., arXiv:1710.05941). */
export const silu = (x: Tensor, { beta = 1 }: { readonly beta?: number } = {}): Tensor => (beta === 1 ? map(programs.silu, { x }) : map(programs.swish, { x, beta }));
/** `silu(gate) · up` in one kernel (Shazeer, arXiv:2002.05202). */
export const swiglu = (gate: Tensor, up: Tensor): Tensor => map(programs.swiglu, { gate, up });
/** `cap · tanh(x / cap)`: keeps x within ±cap (Gemma 2, arXiv:2408.00118). */
export const softcap = (x: Tensor, cap: number): Tensor => map(programs.softcap, { x, cap });
