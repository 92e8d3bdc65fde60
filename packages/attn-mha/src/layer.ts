import { PolyheadError, sortHooks, type AttentionContext, type AttentionLayer, type AttentionShape, type Params, type ParamSpec, type ParamSpecs, type Remembered } from "@polyhead/core";
import { linear, type Engine, type Tensor } from "@polyhead/tensor";
import { createRowCache } from "./caches/create-cache.ts";
import { joinHeads, splitHeads } from "./heads.ts";
import { withQkHooks } from "./qk-hooks.ts";
import { runKernel, usableCache } from "./run-kernel.ts";

/** Heads and sizes of one layer. */
export interface HeadLayout {
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Of the projections to q, k and v. */
  readonly bias: boolean;
  /** Of the projection back to the stream. */
  readonly outBias: boolean;
  /** Of the scores. */
  readonly scale: number;
}

/** The parameters: `qkv` stacks W_Q, W_K and W_V, so that one product makes all three; weights are `[out, in]`. */
export function projections({ width, heads, kvHeads, headDim, bias, outBias }: HeadLayout): ParamSpecs {
  const weight = (outputs: number, inputs: number, residual: boolean): ParamSpec => ({ shape: [outputs, inputs], init: { kind: "normal", std: 0.02 }, decay: true, residual });
  const offset = (outputs: number): ParamSpec => ({ shape: [outputs], init: "zeros", decay: false });
  const rows = (heads + 2 * kvHeads) * headDim;
  return {
    "qkv.weight": weight(rows, width, false),
    ...(bias && { "qkv.bias": offset(rows) }),
    "out.weight": weight(width, heads * headDim, true),
    ...(outBias && { "out.bias": offset(width) }),
  };
}

/** Projections, cache and hooks around whatever kernel the plan chose. */
export function multiHeadLayer(layout: HeadLayout): AttentionLayer<Tensor> {
  const { heads, kvHeads, headDim } = layout;
  const shape: AttentionShape = { heads, kvHeads, headDimQK: headDim, headDimV: headDim };
  return {
    params: projections(layout),
    shape,
    createCache: (engine: Engine, options) => createRowCache(engine, { kvHeads, headDim }, options),
    remember: (memory, params) => ({ tensors: memory.engine.scope(() => keysOf(memory, params, layout)) }),
    apply: (x, params, context) =>
      x.engine.scope(() => {
        const { q, k, v } = project(x, params, layout, context);
        const o = attend(q, k, v, layout, context);
        return linear(joinHeads(o), params["out.weight"]!, params["out.bias"]);
      }),
  };
}

interface QueryKeyValue {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
}

/** q `[B, Hq, Tq, D]` of x, and k, v `[B, Hkv, Tk, D]` of x or of what cross-attention reads. */
function project(x: Tensor, params: Params<Tensor>, layout: HeadLayout, { memory }: AttentionContext<Tensor>): QueryKeyValue {
  const { heads, kvHeads, headDim } = layout;
  const weight = params["qkv.weight"]!;
  const bias = params["qkv.bias"];
  if (memory === undefined) {
    const [q, k, v] = splitHeads(linear(x, weight, bias), [heads, kvHeads, kvHeads], headDim);
    return { q: q!, k: k!, v: v! };
  }
  const cut = heads * headDim;
  const [q] = splitHeads(linear(x, weight.narrow(0, 0, cut), bias?.narrow(0, 0, cut)), [heads], headDim);
  return { q: q!, ...(isRemembered(memory) ? { k: memory.tensors["k"]!, v: memory.tensors["v"]! } : keysOf(memory, params, layout)) };
}

/** By shape: a tensor has no `tensors`. */
const isRemembered = (memory: Tensor | Remembered<Tensor>): memory is Remembered<Tensor> => "tensors" in memory;

/** k and v `[B, Hkv, Tk, D]` of a memory `[B, Tk, width]`, before the qk hooks. */
function keysOf(memory: Tensor, params: Params<Tensor>, { heads, kvHeads, headDim }: HeadLayout): { readonly k: Tensor; readonly v: Tensor } {
  const cut = heads * headDim;
  const rest = 2 * kvHeads * headDim;
  const [k, v] = splitHeads(linear(memory, params["qkv.weight"]!.narrow(0, cut, rest), params["qkv.bias"]?.narrow(0, cut, rest)), [kvHeads, kvHeads], headDim);
  return { k: k!, v: v! };
}

/** Qk hooks, cache, kernel: law 1's order, and law 4: the cache holds keys after the qk hooks. */
function attend(q: Tensor, k: Tensor, v: Tensor, layout: HeadLayout, context: AttentionContext<Tensor>): Tensor {
  const { memory, positions, plan } = context;
  const sorted = sortHooks(context.hooks, plan.how);
  const inline = sorted.qk[0]?.hook.id;
  if (context.cache !== undefined && inline !== undefined) {
    throw new PolyheadError("ATTN_CACHE_HOOK", `kernel '${plan.kernel.name}' would apply '${inline}' to keys that the cache holds already turned`, "plan with cache 'dense' or 'paged', so that qk hooks become a prepass");
  }
  const cache = usableCache(context);
  const offset = cache?.position ?? context.offset;
  const turnedQ = withQkHooks(q, "q", sorted.prepass, { offset, rows: positions });
  const turnedK = withQkHooks(k, "k", sorted.prepass, memory === undefined ? { offset, rows: positions } : { offset: 0 });
  const held = cache?.append(turnedK, v) ?? { k: turnedK, v, kvOffset: memory === undefined ? offset : 0 };
  const queries = (): Tensor => withQkHooks(turnedQ, "q", sorted.qk, { offset, rows: positions });
  return runKernel(turnedQ, held, { context, plan, sorted, cache, offset, scale: layout.scale, queries });
}
