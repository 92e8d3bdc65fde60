import { PolyheadError, sortHooks, type AttentionContext, type AttentionLayer, type AttentionShape, type KvCache, type Params, type ParamSpec, type ParamSpecs } from "@polyhead/core";
import { linear, type Engine, type Tensor } from "@polyhead/tensor";
import { biasOfHooks } from "./bias-tensor.ts";
import { joinHeads, splitHeads } from "./heads.ts";
import { DenseCache } from "./kv-cache.ts";
import { withQkHooks } from "./qk-hooks.ts";

/** Heads and sizes of one layer. */
export interface HeadLayout {
  readonly width: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly bias: boolean;
}

/** The parameters: `qkv` stacks W_Q, W_K and W_V, so that one product makes all three; weights are `[out, in]`. */
export function projections({ width, heads, kvHeads, headDim, bias }: HeadLayout): ParamSpecs {
  const weight = (outputs: number, inputs: number, residual: boolean): ParamSpec => ({ shape: [outputs, inputs], init: { kind: "normal", std: 0.02 }, decay: true, residual });
  const offset = (outputs: number): ParamSpec => ({ shape: [outputs], init: "zeros", decay: false });
  const rows = (heads + 2 * kvHeads) * headDim;
  return {
    "qkv.weight": weight(rows, width, false),
    ...(bias && { "qkv.bias": offset(rows) }),
    "out.weight": weight(width, heads * headDim, true),
    ...(bias && { "out.bias": offset(width) }),
  };
}

/** Projections, cache and hooks around whatever kernel the plan chose. */
export function multiHeadLayer(layout: HeadLayout): AttentionLayer<Tensor> {
  const { heads, kvHeads, headDim } = layout;
  const shape: AttentionShape = { heads, kvHeads, headDimQK: headDim, headDimV: headDim };
  return {
    params: projections(layout),
    shape,
    createCache: (engine: Engine, { batch, capacity, dtype = "f32" }) => {
      if (dtype !== "f32") throw new PolyheadError("ATTN_CACHE_DTYPE", `a dense cache of ${dtype}`, "leave dtype out: it stores f32");
      return new DenseCache(engine, { batch, capacity, kvHeads, headDim });
    },
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
function project(x: Tensor, params: Params<Tensor>, { heads, kvHeads, headDim }: HeadLayout, { memory }: AttentionContext<Tensor>): QueryKeyValue {
  const weight = params["qkv.weight"]!;
  const bias = params["qkv.bias"];
  if (memory === undefined) {
    const [q, k, v] = splitHeads(linear(x, weight, bias), [heads, kvHeads, kvHeads], headDim);
    return { q: q!, k: k!, v: v! };
  }
  const cut = heads * headDim;
  const rest = 2 * kvHeads * headDim;
  const [q] = splitHeads(linear(x, weight.narrow(0, 0, cut), bias?.narrow(0, 0, cut)), [heads], headDim);
  const [k, v] = splitHeads(linear(memory, weight.narrow(0, cut, rest), bias?.narrow(0, cut, rest)), [kvHeads, kvHeads], headDim);
  return { q: q!, k: k!, v: v! };
}

function isDense(cache: KvCache<Tensor>): cache is DenseCache {
  return "append" in cache;
}

/** Qk hooks, cache, kernel: law 1's order, and law 4: the cache holds keys after the qk hooks. */
function attend(q: Tensor, k: Tensor, v: Tensor, { headDim }: HeadLayout, context: AttentionContext<Tensor>): Tensor {
  const { cache, memory, offset, positions, plan } = context;
  if (cache !== undefined && memory !== undefined) {
    throw new PolyheadError("ATTN_CACHE_MEMORY", "a layer was given a cache and a memory; a cache holds the keys of its own rows", "leave the cache out of cross-attention: it reads the whole memory at every call");
  }
  const sorted = sortHooks(context.hooks, plan.how);
  if (cache !== undefined && sorted.qk.length > 0) {
    throw new PolyheadError("ATTN_CACHE_HOOK", `kernel '${plan.kernel.name}' would apply '${sorted.qk[0]!.hook.id}' to keys that the cache holds already turned`, "plan with cache 'dense', so that qk hooks become a prepass");
  }
  const turnedQ = withQkHooks(q, "q", sorted.prepass, { offset, rows: positions });
  const turnedK = withQkHooks(k, "k", sorted.prepass, memory === undefined ? { offset, rows: positions } : { offset: 0 });
  if (cache !== undefined && !isDense(cache)) throw new PolyheadError("ATTN_CACHE_KIND", "this cache was made by another kind of layer", "use the caches that the model's createCache made");
  const keyed = cache === undefined ? { k: turnedK, v } : cache.append(turnedK, v);
  const kvOffset = cache === undefined && memory === undefined ? offset : 0;
  const [B = 0, Hq = 0, Tq = 0] = q.shape;
  const { starts, lengths } = context;
  const { o } = plan.kernel.run({
    q: turnedQ,
    ...keyed,
    scale: context.scale ?? 1 / Math.sqrt(headDim),
    mask: context.mask,
    qOffset: offset,
    kvOffset,
    qk: sorted.qk,
    score: sorted.score,
    dropout: context.dropout,
    ...(sorted.tensor.length > 0 && { bias: biasOfHooks(q.engine, sorted.tensor, { shape: [B, Hq, Tq, keyed.k.shape[2]!], qOffset: offset, kvOffset }) }),
    ...(starts && { starts }),
    ...(lengths && { lengths }),
  });
  return o;
}
