import { definePosition, embedHook, type ParamSpec, type PositionPlugin } from "@polyhead/core";
import { sinusoids } from "./reference.ts";

export interface SinusoidalConfig {
  /** Base of the wavelengths, which run from 2π to 2π · base. Default 10,000. */
  readonly base?: number;
  /** Multiply token embeddings by √width first, as the paper does (section 3.4): waves of amplitude 1 would drown them. Default true. */
  readonly scaleTokens?: boolean;
}

export interface LearnedConfig {
  /** Standard deviation of the initial table. Default 0.02 (GPT-2). */
  readonly std?: number;
}

/** Fixed sine and cosine waves, added to the embeddings (Vaswani et al., 2017, arXiv:1706.03762). */
export const sinusoidal: PositionPlugin<"sinusoidal", "embed", SinusoidalConfig> = definePosition({
  name: "sinusoidal",
  sites: ["embed"],
  options: {
    base: { type: "number", default: 10_000, min: 1, doc: "base of the wavelengths" },
    scaleTokens: { type: "boolean", default: true, doc: "multiply token embeddings by the root of the width first" },
  },
  create: ({ base = 10_000, scaleTokens = true }: SinusoidalConfig, { context, width }) => {
    const data = Float32Array.from(sinusoids(context, width, base));
    const table: ParamSpec = { shape: [context, width], init: { kind: "values", data }, decay: false, trainable: false };
    return { hooks: [embedHook({ id: "sinusoidal", table, tokenScale: scaleTokens ? Math.sqrt(width) : 1 })] };
  },
});

/** A table of positions, learned like the embeddings it is added to (GPT-2, BERT). It ends with the context. */
export const learned: PositionPlugin<"learned", "embed", LearnedConfig> = definePosition({
  name: "learned",
  sites: ["embed"],
  options: { std: { type: "number", default: 0.02, min: 0, doc: "standard deviation of the initial table" } },
  create: ({ std = 0.02 }: LearnedConfig, { context, width }) => ({
    hooks: [embedHook({ id: "learned", table: { shape: [context, width], init: { kind: "normal", std }, decay: true } })],
  }),
});
