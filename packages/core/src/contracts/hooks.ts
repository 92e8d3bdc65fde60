import type { Capture, Program } from "@polyhead/expr";
import type { Count } from "./count.ts";
import type { ParamSpec, ParamSpecs, Params, Params64 } from "./params.ts";
import type { TensorLike } from "./tensor-like.ts";

/** The named places where a position encoding, or any other modifier, acts. */
export type Site = "embed" | "qk" | "score";

/** Where a score is: batch row, query head, and the **global** positions of its query and key. */
export interface ScoreIndex {
  readonly b: number;
  readonly h: number;
  readonly q: number;
  readonly kv: number;
}

interface HookBase<S extends Site> {
  readonly site: S;
  /** Unique among the hooks of one attention problem; plans and explanations use it. */
  readonly id: string;
}

/** Adds a row of a table to each token's embedding: `x · tokenScale + table[global position]`. */
export interface EmbedHook extends HookBase<"embed"> {
  /** `table` is `[context, width]`; `trainable: false` makes it a fixed encoding. */
  readonly params: { readonly table: ParamSpec };
  /** Multiplies the token embedding before the table is added (√width in "Attention Is All You Need"). */
  readonly tokenScale: number;
  /** The law, for one token embedding of `width` numbers. */
  reference(x: Float64Array, position: number, params: Params64): Float64Array;
}

/**
 * Turns pairs of a query or key vector: `(x0, x1) → program(x0, x1, position, pair, head)`, as RoPE does.
 * `half`: pair i holds elements i and i + rotaryDim/2 (GPT-NeoX, Llama in Hugging Face's layout);
 * `interleaved`: elements 2i and 2i + 1 (GPT-J, the RoFormer paper). Elements from `rotaryDim` on pass unchanged.
 */
export interface QkPairHook extends HookBase<"qk"> {
  readonly form: "pair";
  readonly program: Program;
  readonly layout: "half" | "interleaved";
  /** Even, and at most the head's size. */
  readonly rotaryDim: number;
  /** Backing for the learned captures of `program`, by capture name; usually `{}`. */
  readonly params: ParamSpecs;
  readonly applies: "both" | "q" | "k";
  /** The law, for one head vector. Never changes its argument. */
  reference(vector: Float64Array, position: number, head: number, params?: Params64): Float64Array;
  /** Vector–Jacobian product of `reference`: d loss/d vector from d loss/d output. */
  pullback(vector: Float64Array, position: number, head: number, gradient: Float64Array, params?: Params64): Float64Array;
}

/**
 * Maps a whole query or key row with operators of its own (QK-norm): always a prepass, never inlined in a kernel.
 * `apply` takes `[B, H, T, headDim]`.
 */
export interface QkRowHook<T extends TensorLike = TensorLike> extends HookBase<"qk"> {
  readonly form: "row";
  readonly params: ParamSpecs;
  readonly applies: "both" | "q" | "k";
  apply(x: T, params: Params<T>, positions: { readonly offset: Count; readonly rows?: T }): T;
  reference(vector: Float64Array, position: number, head: number, params?: Params64): Float64Array;
  /** Vector–Jacobian product of `reference`; without it the float64 reference has no gradient through this hook. */
  pullback?(vector: Float64Array, position: number, head: number, gradient: Float64Array, params?: Params64): Float64Array;
}

export type QkHook<T extends TensorLike = TensorLike> = QkPairHook | QkRowHook<T>;

/**
 * What a score hook draws from the queries: it adds `scale · Σ_d q[b, h, q, d] · rows[row(h, q, kv), d]` to a score, with q
 * after its qk hooks. This is data: the attention layer makes the products before the kernel, differentiable in both.
 */
export interface QueryRows {
  /** A learned capture `[rows, headDim]`, the hook's one parameter, under its name. */
  readonly rows: Capture;
  /** `h, q, kv → i32`: the row that a score is given. */
  readonly row: Program;
}

/** Maps one scaled score: `s → program(s, b, h, q, kv)`; ALiBi, T5's bias, soft capping. */
export interface ScoreHook extends HookBase<"score"> {
  readonly program: Program;
  /** `program` is `score + f(b, h, q, kv)`, so it may be materialised as a bias tensor. */
  readonly additive: boolean;
  /** Reads a learned capture, which needs a gradient. */
  readonly learned: boolean;
  /** Backing for the learned captures, by capture name. */
  readonly params: ParamSpecs;
  /**
   * Present on a hook that reads the queries. Kernels are never given such a hook but one made of it for their call by
   * `hookOfQueries`; until then its `program` stands for the call of a single query.
   */
  readonly queries?: QueryRows;
  /** The law: `program` in float64. */
  reference(score: number, at: ScoreIndex): number;
}

export type Hook<T extends TensorLike = TensorLike> = EmbedHook | QkHook<T> | ScoreHook;

/** A hook together with the tensors behind its parameters. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the edge where tensors of any kind meet
export interface BoundHook<T extends TensorLike = any, H extends Hook<T> = Hook<T>> {
  readonly hook: H;
  readonly params: Params<T>;
}
