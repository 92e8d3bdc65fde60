import type { OptionSpec } from "@polyhead/core";
import { ACTIVATIONS, type FeedForwardConfig } from "./feed-forward.ts";

/** Where the norm stands: `pre` x + f(norm(x)) with a last norm before the logits, `post` norm(x + f(x)). */
export type NormPlace = "pre" | "post";

/** The decoder's own keys of a spec. */
export interface DecoderConfig {
  readonly norm?: { readonly place?: NormPlace };
  readonly feedForward?: FeedForwardConfig;
  /** `interleaved`: attention, feed-forward, attention, feed-forward, … */
  readonly order?: "interleaved";
}

/** The same keys with every default filled in. */
export interface ResolvedDecoderConfig {
  readonly norm: { readonly place: NormPlace };
  readonly feedForward: Required<Pick<FeedForwardConfig, "use" | "bias">> & Pick<FeedForwardConfig, "width">;
  readonly order: "interleaved";
}

export const DECODER_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  "norm.place": { type: "choice", choices: ["pre", "post"], default: "pre", doc: "norm before each sublayer, or after each residual sum" },
  "feedForward.use": { type: "choice", choices: ACTIVATIONS, default: "gelu", doc: "activation of the feed-forward sublayer" },
  "feedForward.width": { type: "integer", min: 1, doc: "hidden features; default 4 × width, or 8/3 × width (rounded up to a multiple of 8) for swiglu" },
  "feedForward.bias": { type: "boolean", default: true, doc: "learn a bias in both projections" },
  order: { type: "choice", choices: ["interleaved"], default: "interleaved", doc: "order of the sublayers" },
};
