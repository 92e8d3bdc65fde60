import { defineNorm, type NormPlugin, type ParamSpecs } from "@polyhead/core";
import { layerNorm, type Tensor } from "@polyhead/tensor";
import { layerNormReference } from "./reference.ts";

export interface LayerNormConfig {
  /** Added to the variance inside the root. */
  readonly epsilon?: number;
  /** Learns a bias beside the gain. */
  readonly bias?: boolean;
}

/** Layer normalisation: y = (x − μ) / √(σ² + ε) · g + b, over the features of each token. */
export const layer: NormPlugin<"layer", LayerNormConfig, Tensor> = defineNorm({
  name: "layer",
  options: {
    epsilon: { type: "number", default: 1e-5, min: 0, doc: "added to the variance inside the root" },
    bias: { type: "boolean", default: true, doc: "learn a bias beside the gain" },
  },
  create({ epsilon = 1e-5, bias = true }: LayerNormConfig, { width }) {
    const gain: ParamSpecs = { weight: { shape: [width], init: "ones", decay: false } };
    return {
      params: bias ? { ...gain, bias: { shape: [width], init: "zeros", decay: false } } : gain,
      apply: (x: Tensor, params) => layerNorm(x, params["weight"], params["bias"], { eps: epsilon }),
      reference: (x, n, params) => layerNormReference(x, n, params["weight"]!, params["bias"], epsilon),
    };
  },
});
