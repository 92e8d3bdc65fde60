import type { AttentionContext, AttentionLayer, NormLayer, Params, ParamSpecs } from "@polyhead/core";
import { add, dropout, type Tensor } from "@polyhead/tensor";
import type { NormPlace } from "./config.ts";
import type { FeedForward } from "./feed-forward.ts";
import type { Parameters } from "./parameters.ts";

/** What one sublayer is told beside its input. */
export interface SublayerContext {
  readonly attention: AttentionContext<Tensor>;
  /** Drop probability of the branch, 0 outside training. */
  readonly dropout: number;
}

/** What stands on the branch of a residual sublayer. */
interface Branch {
  readonly params: ParamSpecs;
  apply(x: Tensor, params: Params<Tensor>, context: SublayerContext): Tensor;
}

/** A residual step of the stream, `[B, T, width] → [B, T, width]`. */
export interface Sublayer {
  readonly kind: "attention" | "feedForward";
  apply(x: Tensor, context: SublayerContext): Tensor;
}

/** x + f(norm(x)) for `pre`, norm(x + f(x)) for `post`, with parameters made under `path`. */
function sublayer(kind: Sublayer["kind"], place: NormPlace, norm: NormLayer<Tensor>, branch: Branch, parameters: Parameters, path: string): Sublayer {
  const gains = parameters.create(`${path}.norm`, norm.params);
  const weights = parameters.create(path, branch.params);
  return {
    kind,
    apply(x, context) {
      const y = branch.apply(place === "pre" ? norm.apply(x, gains) : x, weights, context);
      const sum = add(x, context.dropout > 0 ? dropout(y, context.dropout) : y);
      return place === "pre" ? sum : norm.apply(sum, gains);
    },
  };
}

/** The attention step. */
export function attentionSublayer(place: NormPlace, norm: NormLayer<Tensor>, attention: AttentionLayer<Tensor>, parameters: Parameters, path: string): Sublayer {
  const branch: Branch = { params: attention.params, apply: (x, params, context) => attention.apply(x, params, context.attention) };
  return sublayer("attention", place, norm, branch, parameters, path);
}

/** The position-wise step. */
export function feedForwardSublayer(place: NormPlace, norm: NormLayer<Tensor>, ffn: FeedForward, parameters: Parameters, path: string): Sublayer {
  return sublayer("feedForward", place, norm, ffn, parameters, path);
}
