import { PolyheadError, type OptionSpec } from "@polyhead/core";
import { ACTIVATIONS, type FeedForwardConfig } from "./feed-forward.ts";
import { EXPERTS_OPTIONS, type ExpertsConfig } from "./mixture-config.ts";

/** Where norms stand: `pre` x + f(norm(x)), with a last norm before the logits; `post` norm(x + f(x)); `both` x + norm'(f(norm(x))), with the last norm. */
export type NormPlace = "pre" | "post" | "both";

/** What every architecture adds to the keys of a spec. */
export interface StackConfig {
  readonly attention?: {
    /** Scores become cap · tanh(score / cap), before anything is added to them. */
    readonly softcap?: number;
  };
  readonly norm?: {
    readonly place?: NormPlace;
    /** What a sublayer is added to: the stream (default), or the norm of it (norm(x) + f(norm(x)), an option of BLOOM). */
    readonly residual?: "stream" | "normed";
    /** A norm right after the embedding. Default false. */
    readonly embedding?: boolean;
  };
  readonly embedding?: {
    /** Multiplies the token embedding. Default 1. */
    readonly scale?: number;
    /** Multiplies the logits. Default 1. */
    readonly logitScale?: number;
    /** Logits become cap · tanh(logit / cap). */
    readonly softcap?: number;
  };
  readonly feedForward?: FeedForwardConfig;
  /** What the letter `m` of an order stands for. */
  readonly experts?: ExpertsConfig;
  /** `interleaved` (default), `parallel`, `sandwich:k`, or any order of letters. */
  readonly order?: string;
  /** Tokens that letter `w` sees: the query itself and so many less one before it, and where the mask looks ahead, after it. */
  readonly window?: number;
}

/** The decoder's own keys of a spec. */
export type DecoderConfig = StackConfig;

/** The encoder's own keys of a spec. */
export type EncoderConfig = StackConfig;

/** The encoder-decoder's own keys of a spec: `layers`, `order`, `mask` are those of its decoder. */
export interface EncoderDecoderConfig extends StackConfig {
  readonly encoder?: {
    /** Default as many as the decoder has. */
    readonly layers?: number;
    /** Default `interleaved`. */
    readonly order?: string;
  };
  /** The id that decoders start from, before the first token of a text. Default 0. */
  readonly start?: number;
}

/** The same keys with every default filled in. */
export interface ResolvedStackConfig {
  readonly attention: { readonly softcap?: number };
  readonly norm: { readonly place: NormPlace; readonly residual: "stream" | "normed"; readonly embedding: boolean };
  readonly embedding: { readonly scale: number; readonly logitScale: number; readonly softcap?: number };
  readonly feedForward: Required<Pick<FeedForwardConfig, "use" | "bias">> & Pick<FeedForwardConfig, "width">;
  readonly experts?: ExpertsConfig;
  readonly order: string;
  readonly window?: number;
}

export interface ResolvedEncoderDecoderConfig extends ResolvedStackConfig {
  readonly encoder: { readonly layers?: number; readonly order: string };
  readonly start: number;
}

/** The options that every architecture shares, by dotted path. */
export const STACK_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  "attention.softcap": { type: "number", min: 1e-6, doc: "scores become cap · tanh(score / cap)" },
  "norm.place": { type: "choice", choices: ["pre", "post", "both"], default: "pre", doc: "norm before each sublayer, after each residual sum, or on both ends of a sublayer" },
  "norm.residual": { type: "choice", choices: ["stream", "normed"], default: "stream", doc: "what a sublayer is added to: the stream, or the norm of it" },
  "norm.embedding": { type: "boolean", default: false, doc: "a norm right after the embedding" },
  "embedding.scale": { type: "number", default: 1, doc: "multiplies the token embedding" },
  "embedding.logitScale": { type: "number", default: 1, doc: "multiplies the logits" },
  "embedding.softcap": { type: "number", min: 1e-6, doc: "logits become cap · tanh(logit / cap)" },
  "feedForward.use": { type: "choice", choices: ACTIVATIONS, default: "gelu", doc: "activation of the feed-forward sublayer" },
  "feedForward.width": { type: "integer", min: 1, doc: "hidden features; default 4 × width, or 8/3 × width (rounded up to a multiple of 8) for the gated ones" },
  "feedForward.bias": { type: "boolean", default: true, doc: "learn a bias in both projections" },
  experts: { type: "group", options: EXPERTS_OPTIONS, doc: "the mixture of experts of letter 'm'" },
  order: { type: "string", default: "interleaved", doc: "order of the sublayers: interleaved, parallel, sandwich:k, or letters such as (wfsf)3" },
  window: { type: "integer", min: 1, doc: "tokens that letter 'w' of the order sees" },
};

export const ENCODER_DECODER_OPTIONS: Readonly<Record<string, OptionSpec>> = {
  ...STACK_OPTIONS,
  "encoder.layers": { type: "integer", min: 1, doc: "self-attentions of the encoder; default as many as the decoder has" },
  "encoder.order": { type: "string", default: "interleaved", doc: "order of the encoder's sublayers" },
  start: { type: "integer", min: 0, default: 0, doc: "the id that the decoder starts from" },
};

/** @throws PolyheadError `CONFIG_NORM` for a normed residual where no norm stands before a sublayer. */
export function checkNorm({ place, residual }: ResolvedStackConfig["norm"]): void {
  if (residual === "normed" && place === "post") throw new PolyheadError("CONFIG_NORM", "norm.residual is 'normed' and norm.place is 'post': no norm stands before a sublayer", "use norm.place 'pre' or 'both', or norm.residual 'stream'");
}
