import type { Activation } from "../../feed-forward.ts";

/** Activations by their names in configs, and the gated networks that they make. */
export const PLAIN: Readonly<Record<string, Activation>> = {
  gelu: "gelu",
  gelu_new: "gelu-tanh",
  gelu_fast: "gelu-tanh",
  gelu_pytorch_tanh: "gelu-tanh",
  relu: "relu",
  silu: "silu",
  swish: "silu",
};
export const GATED: Readonly<Record<string, Activation>> = {
  gelu: "geglu",
  gelu_new: "geglu-tanh",
  gelu_fast: "geglu-tanh",
  gelu_pytorch_tanh: "geglu-tanh",
  relu: "reglu",
  silu: "swiglu",
  swish: "swiglu",
};
