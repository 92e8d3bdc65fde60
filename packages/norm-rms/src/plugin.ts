import { defineNorm, type NormPlugin } from "@polyhead/core";
import { rmsNorm, type Tensor } from "@polyhead/tensor";
import { rmsNormReference } from "./reference.ts";

export interface RmsNormConfig {
  /** Added to the mean square inside the root. */
  readonly epsilon?: number;
}

/** Root-mean-square normalisation: y = x / √(mean x² + ε) · g, over the features of each token. */
export const rms: NormPlugin<"rms", RmsNormConfig, Tensor> = defineNorm({
  name: "rms",
  options: { epsilon: { type: "number", default: 1e-5, min: 0, doc: "added to the mean square inside the root" } },
  create({ epsilon = 1e-5 }: RmsNormConfig, { width }) {
    return {
      params: { weight: { shape: [width], init: "ones", decay: false } },
      apply: (x: Tensor, params) => rmsNorm(x, params["weight"], { eps: epsilon }),
      reference: (x, n, params) => rmsNormReference(x, n, params["weight"]!, epsilon),
    };
  },
});
