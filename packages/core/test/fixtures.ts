import {
  type ArchitecturePlugin,
  type AttentionLayer,
  type AttentionPlugin,
  type Caps,
  type EmbeddingPlugin,
  type KernelPlugin,
  type NormPlugin,
  type PositionPlugin,
  type Problem,
  type ScoreHook,
  type QkPairHook,
  type QkRowHook,
  type TensorLike,
  causal,
  defineArchitecture,
  defineAttention,
  defineEmbedding,
  defineKernelPlugin,
  defineNorm,
  definePosition,
  pairHook,
  pairMod,
  rowHook,
  scoreHook,
  scoreMod,
} from "../src/index.ts";

/** Small plugins that compute nothing, for the laws of lab and planner. */

const layer = (heads: number, kvHeads: number, headDim: number): AttentionLayer<TensorLike> => ({
  params: {},
  shape: { heads, kvHeads, headDimQK: headDim, headDimV: headDim },
  apply: (x) => x,
  createCache: () => {
    throw new Error("planned, not run");
  },
});

export const mha: AttentionPlugin<"mha", "embed" | "qk" | "score", { heads: number; kvHeads?: number }> = defineAttention({
  name: "mha",
  sites: ["embed", "qk", "score"],
  options: {
    heads: { type: "integer", min: 1, required: true, doc: "query heads" },
    kvHeads: { type: "integer", min: 1, doc: "key heads; as many as query heads by default" },
  },
  create: ({ heads, kvHeads = heads }: { heads: number; kvHeads?: number }, { width }) => layer(heads, kvHeads, width / heads),
});

export const performer: AttentionPlugin<"performer", "embed" | "qk", { heads: number }> = defineAttention({
  name: "performer",
  sites: ["embed", "qk"],
  options: { heads: { type: "integer", min: 1, required: true, doc: "query heads" } },
  create: ({ heads }: { heads: number }, { width }) => layer(heads, heads, width / heads),
});

/** Rotary embedding (Su et al. 2021), eq. 34. */
export const ropeHook = (rotaryDim: number, layout: "half" | "interleaved" = "half", base = 10000): QkPairHook =>
  pairHook({
    id: "rope",
    layout,
    rotaryDim,
    program: pairMod(({ x0, x1, position, pair }) => {
      const angle = position.f32().mul(pair.f32().mul((-2 * Math.log(base)) / rotaryDim).exp());
      return [x0.mul(angle.cos()).sub(x1.mul(angle.sin())), x0.mul(angle.sin()).add(x1.mul(angle.cos()))];
    }),
  });

export const rope: PositionPlugin<"rope", "qk", { base?: number }> = definePosition({
  name: "rope",
  sites: ["qk"],
  options: { base: { type: "number", min: 1, default: 10000, doc: "wavelength base" } },
  create: ({ base = 10000 }: { base?: number }, { headDim }) => ({ hooks: [ropeHook(headDim, "half", base)] }),
});

export const alibiHook: ScoreHook = scoreHook({ id: "alibi", program: scoreMod`score - exp2(-4.0 * f32(h + 1)) * f32(abs(q - kv))` });
export const softcapHook: ScoreHook = scoreHook({ id: "softcap", program: scoreMod`3.0 * tanh(score / 3.0)` });

export const alibi: PositionPlugin<"alibi", "score"> = definePosition({
  name: "alibi",
  sites: ["score"],
  options: {},
  create: () => ({ hooks: [alibiHook] }),
});

/** Root mean square over the head, without a gain; its derivative by hand. */
export const qkNormHook: QkRowHook = rowHook({
  id: "qk-norm",
  apply: (x: TensorLike) => x,
  reference: (x) => {
    const r = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + 1e-6);
    return x.map((value) => value / r);
  },
  pullback: (x, _position, _head, g) => {
    const r = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + 1e-6);
    const dot = x.reduce((sum, value, i) => sum + value * (g[i] ?? 0), 0) / (x.length * r * r);
    return x.map((value, i) => ((g[i] ?? 0) - value * dot) / r);
  },
});

export const rms: NormPlugin<"rms", { eps?: number }> = defineNorm({
  name: "rms",
  options: { eps: { type: "number", min: 0, default: 1e-5, doc: "added to the mean square" } },
  create: (_: { eps?: number }) => ({ params: {}, apply: (x) => x, reference: (x) => x }),
});

export const tied: EmbeddingPlugin<"tied"> = defineEmbedding({
  name: "tied",
  options: {},
  create: () => ({ params: {}, tied: true, embed: (ids) => ids, logits: (hidden) => hidden }),
});

interface DecoderConfig {
  readonly norm?: { readonly place?: "pre" | "post" };
  readonly feedForward?: { readonly use?: "gelu" | "swiglu"; readonly width?: number };
  readonly bias?: boolean;
}

export interface BuiltDecoder {
  readonly config: DecoderConfig;
  readonly attentionHeads: number;
}

export const decoder: ArchitecturePlugin<"decoder", DecoderConfig, { readonly name: string }, Promise<BuiltDecoder>> = defineArchitecture({
  name: "decoder",
  options: {
    "norm.place": { type: "choice", choices: ["pre", "post"], default: "pre", doc: "where the norm stands" },
    "feedForward.use": { type: "choice", choices: ["gelu", "swiglu"], default: "gelu", doc: "the activation" },
    "feedForward.width": { type: "integer", min: 1, doc: "hidden features" },
    bias: { type: "boolean", default: true, doc: "linear layers have a bias" },
  },
  defaultMask: causal(),
  build: (spec, config: DecoderConfig, workshop, _engine: { readonly name: string }): Promise<BuiltDecoder> =>
    Promise.resolve({ config, attentionHeads: workshop.parts(spec).dims.heads }),
});

/** A kernel that never runs; `draft` says what it can. */
export const kernel = <const N extends string>(name: N, draft: Partial<KernelPlugin> = {}): KernelPlugin<N> =>
  defineKernelPlugin({
    preference: 1,
    lower: () => "inline",
    unsupported: () => [],
    run: () => {
      throw new Error("planned, not run");
    },
    ...draft,
    name,
  });

export const caps: Caps = { f16: false, subgroups: false, storageBuffers: 8, workgroupBytes: 16384, maxBindingBytes: 2 ** 27 };

export const problem = (change: Partial<Problem> = {}): Problem => ({
  heads: 4,
  kvHeads: 2,
  headDimQK: 8,
  headDimV: 8,
  dtype: "f32",
  mask: causal(),
  qk: [],
  score: [],
  backward: false,
  cache: "none",
  dropout: false,
  padded: false,
  ...change,
});
