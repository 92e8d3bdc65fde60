import type { Params, ParamSpec, ParamSpecs } from "@polyhead/core";
import { gelu, geluTanh, linear, relu, swiglu, type Tensor } from "@polyhead/tensor";

export const ACTIVATIONS = ["gelu", "gelu-tanh", "relu", "swiglu"] as const;
export type Activation = (typeof ACTIVATIONS)[number];

export interface FeedForwardConfig {
  readonly use?: Activation;
  /** Hidden features; default 4 × width, or 8/3 × width rounded up to a multiple of 8 for `swiglu` (Shazeer, 2020). */
  readonly width?: number;
  readonly bias?: boolean;
}

/** A position-wise feed-forward sublayer, `[B, T, width] → [B, T, width]`. */
export interface FeedForward {
  readonly params: ParamSpecs;
  apply(x: Tensor, params: Params<Tensor>): Tensor;
}

const POINTWISE = { gelu, "gelu-tanh": geluTanh, relu } as const;

/**
 * W₂ · φ(W₁ x + b₁) + b₂ with φ GELU (Hendrycks and Gimpel, 2016; exact or its tanh form) or ReLU (Vaswani et al., 2017), or
 * SwiGLU, W₂ · (SiLU(W₁ x) ⊙ W₃ x) (Shazeer, 2020, arXiv:2002.05202). Weights are `[out, in]`; SwiGLU's W₁ and W₃ lie
 * on top of each other in `up`, gate first, so that one matrix product makes both.
 */
export function feedForward(width: number, { use = "gelu", width: given, bias = true }: FeedForwardConfig): FeedForward {
  const gated = use === "swiglu";
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
      const active = use === "swiglu" ? swiglu(up.narrow(-1, 0, hidden), up.narrow(-1, hidden, hidden)) : POINTWISE[use](up);
      return linear(active, params["down.weight"]!, params["down.bias"]);
    },
  };
}
