import type { AttentionContext, AttentionLayer, NormLayer, Params, ParamSpecs } from "@polyhead/core";
import { add, dropout, type Tensor } from "@polyhead/tensor";
import type { ResolvedStackConfig } from "./config.ts";
import type { FeedForward } from "./feed-forward.ts";
import type { ForwardOptions } from "./language-model.ts";
import type { Mixture } from "./mixture.ts";
import type { HalfRule, Parameters } from "./parameters.ts";

/** What the attentions of a stack are told apart by: the mask that they are used with, and what they read. */
export type AttentionKind = "s" | "w" | "c";

/** One pass through a stack, as its sublayers see it. */
export interface Pass {
  /** Drop probability of the branches, 0 outside training. */
  readonly dropout: number;
  /** What the `index`-th attention is told beside its input: counted over `s` and `w` together, and over `c`. */
  attention(kind: AttentionKind, index: number): AttentionContext<Tensor>;
  readonly observeRouting?: ForwardOptions["observeRouting"];
}

/** What stands on the branch of a residual step. */
export interface Branch {
  /** Where its parameters are: `blocks.0.attention`. */
  readonly path: string;
  readonly params: ParamSpecs;
  /** Weights that may be stored in halves. */
  readonly half: HalfRule;
  apply(x: Tensor, params: Params<Tensor>, pass: Pass): Tensor;
}

/** A residual step of the stream, `[B, T, width] → [B, T, width]`. */
export interface ResidualStep {
  /** Of each branch, without its norms. */
  readonly weights: readonly Params<Tensor>[];
  apply(x: Tensor, pass: Pass): Tensor;
}

/** Matrices that `linear` and `expertLinear` multiply by. A router's choices depend on its last digits, so it keeps them. */
const matrices: HalfRule = (local, { shape }) => local.startsWith("experts.") || (local.endsWith("weight") && shape.length === 2 && !local.startsWith("router"));

/** Attention on a branch. */
export function attentionBranch(path: string, kind: AttentionKind, index: number, layer: AttentionLayer<Tensor>): Branch {
  return { path, params: layer.params, half: matrices, apply: (x, params, pass) => layer.apply(x, params, pass.attention(kind, index)) };
}

/** A position-wise network on a branch. */
export function feedForwardBranch(path: string, network: FeedForward): Branch {
  return { path, params: network.params, half: matrices, apply: (x, weights) => network.apply(x, weights) };
}

/** Experts on a branch. */
export function mixtureBranch(path: string, experts: Mixture): Branch {
  return {
    path, params: experts.params, half: matrices,
    apply: (x, weights, { observeRouting }) => experts.apply(x, weights, observeRouting && ((routing): void => { observeRouting(path, routing); })),
  };
}

interface Equipped {
  readonly branch: Branch;
  readonly weights: Params<Tensor>;
  readonly norm: Params<Tensor>;
  readonly normAfter: Params<Tensor>;
}

/**
 * x + Σ f(norm x) for `pre`, norm(x + Σ f(x)) for `post`, x + Σ norm'(f(norm x)) for `both`, over the branches of one step: each has
 * norms of its own but for `post`, whose norm of the sum is the first one's. Parameters are made here.
 */
export function residualStep(branches: readonly Branch[], norm: NormLayer<Tensor>, { place, residual }: ResolvedStackConfig["norm"], parameters: Parameters): ResidualStep {
  const equipped: readonly Equipped[] = branches.map((branch, i) => ({
    branch,
    norm: place === "post" && i > 0 ? {} : parameters.create(`${branch.path}.norm`, norm.params),
    weights: parameters.create(branch.path, branch.params, branch.half),
    normAfter: place === "both" ? parameters.create(`${branch.path}.normAfter`, norm.params) : {},
  }));
  return {
    weights: equipped.map(({ weights }) => weights),
    apply(x, pass) {
      let sum: Tensor | undefined;
      for (const { branch, weights, norm: before, normAfter } of equipped) {
        const input = place === "post" ? x : norm.apply(x, before);
        const made = branch.apply(input, weights, pass);
        const y = place === "both" ? norm.apply(made, normAfter) : made;
        sum = add(sum ?? (residual === "normed" ? input : x), pass.dropout > 0 ? dropout(y, pass.dropout) : y);
      }
      return place === "post" ? norm.apply(sum!, equipped[0]!.norm) : sum!;
    },
  };
}
