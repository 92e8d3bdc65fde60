import { formula, type Params, type ParamSpec, type ParamSpecs, type Program } from "@polyhead/core";
import { gelu, geluTanh, linear, map, relu, silu, swiglu, type Tensor } from "@polyhead/tensor";

type Pointwise = "gelu" | "gelu-tanh" | "relu" | "silu";
type Gated = "swiglu" | "geglu" | "geglu-tanh" | "reglu";

const POINTWISE: Readonly<Record<Pointwise, (x: Tensor) => Tensor>> = { gelu, "gelu-tanh": geluTanh, relu, silu };
const of = formula({ gate: "f32", up: "f32" });
const times = (program: Program) => (gate: Tensor, up: Tensor): Tensor => map(program, { gate, up });
const GATED: Readonly<Record<Gated, (gate: Tensor, up: Tensor) => Tensor>> = {
  swiglu,
  geglu: times(of`0.5 * gate * (1 + erf(gate * ${Math.SQRT1_2})) * up`),
  "geglu-tanh": times(of`0.5 * gate * (1 + tanh(${Math.sqrt(2 / Math.PI)} * (gate + 0.044715 * gate * gate * gate))) * up`),
  reglu: times(of`(gate <= 0 ? 0.0 : gate) * up`),
};

export type Activation = Pointwise | Gated;
export const ACTIVATIONS: readonly Activation[] = ["gelu", "gelu-tanh", "relu", "silu", "swiglu", "geglu", "geglu-tanh", "reglu"];

export interface FeedForwardConfig {
  readonly use?: Activation;
  /** Hidden features; default 4 × width, or 8/3 × width rounded up to a multiple of 8 for the gated ones (Shazeer, 2020). */
  readonly width?: number;
  readonly bias?: boolean;
}

/** A position-wise feed-forward sublayer, `[B, T, width] → [B, T, width]`. */
export interface FeedForward {
  readonly params: ParamSpecs;
  apply(x: Tensor, params: Params<Tensor>): Tensor;
}

const isGated = (use: Activation): use is Gated => use in GATED;

/**
 * W₂ · φ(W₁ x + b₁) + b₂ with φ GELU (Hendrycks and Gimpel, 2016; exact or its tanh form), ReLU (Vaswani et al., 2017) or SiLU, or
 * with a gate, W₂ · (φ(W₁ x) ⊙ W₃ x) (Shazeer, 2020, arXiv:2002.05202): SwiGLU, GEGLU in both forms, ReGLU. Weights are `[out, in]`;
 * W₁ and W₃ lie on top of each other in `up`, gate first, so that one matrix product makes both.
 */
export function feedForward(width: number, { use = "gelu", width: given, bias = true }: FeedForwardConfig): FeedForward {
  const gated = isGated(use);
  const hidden = given ?? (gated ? Math.ceil((8 * width) / 3 / 8) * 8 : 4 * width);
  const weight = (rows: number, columns: number, residual: boolean): ParamSpec => ({ shape: [rows, columns], init: { kind: "normal", std: 0.02 }, decay: true, residual });
  const offset = (rows: number): ParamSpec => ({ shape: [rows], init: "zeros", decay: false });
  const upRows = gated ? 2 * hidden : hidden;
  return {
    params: {
      "up.weight": weight(upRows, width, false),
      ...(bias && { "up.bias": offset(upRows) }),
      "down.weight": weight(width, hidden, true),
      ...(bias && { "down.bias": offset(width) }),
    },
    apply(x, params) {
      const up = linear(x, params["up.weight"]!, params["up.bias"]);
      const active = gated ? GATED[use](up.narrow(-1, 0, hidden), up.narrow(-1, hidden, hidden)) : POINTWISE[use](up);
      return linear(active, params["down.weight"]!, params["down.bias"]);
    },
  };
}
