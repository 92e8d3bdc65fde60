import { PolyheadError, sortHooks, type AttentionContext, type AttentionLayer, type AttentionShape, type Params, type ParamSpec, type ParamSpecs, type Remembered } from "@polyhead/core";
import { numberOf } from "@polyhead/gpu";
import { linear, type Engine, type Tensor } from "@polyhead/tensor";
import { biasOfHooks } from "./bias-tensor.ts";
import { createRowCache } from "./caches/create-cache.ts";
import { asRowCache, type HeldRows, type RowCache } from "./caches/row-cache.ts";
import { gatherPages } from "./gather-pages.ts";
import { joinHeads, splitHeads } from "./heads.ts";
import { lookback } from "./mask-bounds.ts";
import { withQkHooks } from "./qk-hooks.ts";
import { withQueries } from "./query-hooks.ts";
import { shiftRows } from "./shift-rows.ts";

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

/** @throws PolyheadError `ATTN_CACHE_MEMORY`, `ATTN_CACHE_HOOK`, `ATTN_CACHE_SLIDE`, `ATTN_CACHE_KIND`. */
function usableCache({ cache, memory, mask, plan }: AttentionContext<Tensor>, inline: string | undefined): RowCache | undefined {
  if (cache === undefined) return undefined;
  if (memory !== undefined) {
    throw new PolyheadError("ATTN_CACHE_MEMORY", "a layer was given a cache and a memory; a cache holds the keys of its own rows", "leave the cache out of cross-attention: it reads the whole memory at every call");
  }
  if (inline !== undefined) {
    throw new PolyheadError("ATTN_CACHE_HOOK", `kernel '${plan.kernel.name}' would apply '${inline}' to keys that the cache holds already turned`, "plan with cache 'dense' or 'paged', so that qk hooks become a prepass");
  }
  const rows = asRowCache(cache);
  if (rows.window !== undefined && lookback(mask) > rows.window) {
    throw new PolyheadError("ATTN_CACHE_SLIDE", `a mask that looks back ${lookback(mask)} rows on a cache that keeps ${rows.window} of them`, "make the cache with the mask it is used with");
  }
  return rows;
}

/** What the cache holds, for a kernel that may not take pages. */
function forKernel(held: HeldRows, paged: boolean): HeldRows {
  const { k, v, pages, keys = 0, kvOffset } = held;
  if (pages === undefined || paged) return held;
  const length = numberOf(keys);
  return { k: gatherPages(k, pages, length), v: gatherPages(v, pages, length), kvOffset };
}

/** Qk hooks, cache, kernel: law 1's order, and law 4: the cache holds keys after the qk hooks. */
function attend(q: Tensor, k: Tensor, v: Tensor, layout: HeadLayout, context: AttentionContext<Tensor>): Tensor {
  const { memory, positions, plan } = context;
  const sorted = sortHooks(context.hooks, plan.how);
  const cache = usableCache(context, sorted.qk[0]?.hook.id);
  const offset = cache?.position ?? context.offset;
  const turnedQ = withQkHooks(q, "q", sorted.prepass, { offset, rows: positions });
  const turnedK = withQkHooks(k, "k", sorted.prepass, memory === undefined ? { offset, rows: positions } : { offset: 0 });
  const keyed: HeldRows = cache === undefined ? { k: turnedK, v, kvOffset: memory === undefined ? offset : 0 } : forKernel(cache.append(turnedK, v), plan.kernel.paged === true);
  const { kvOffset, pages } = keyed;
  const [B = 0, Hq = 0, Tq = 0] = q.shape;
  const Tk = pages === undefined ? keyed.k.shape[2]! : pages.table.shape[1]! * pages.size;
  // Padding is told in rows of the text, kernels count rows of k: two things once a cache has dropped rows.
  const inRowsOfK = (limits: Tensor): Tensor => (cache?.window === undefined ? limits : shiftRows(limits, kvOffset));
  const { starts, lengths, scale = layout.scale } = context;
  const drawn = { q: () => withQkHooks(turnedQ, "q", sorted.qk, { offset, rows: positions }), qOffset: offset, scale };
  const tensorHooks = withQueries(sorted.tensor, drawn);
  const { o } = plan.kernel.run({
    q: turnedQ,
    ...keyed,
    scale,
    mask: context.mask,
    qOffset: offset,
    qk: sorted.qk,
    score: withQueries(sorted.score, drawn),
    dropout: context.dropout,
    ...(tensorHooks.length > 0 && { bias: biasOfHooks(q.engine, tensorHooks, { shape: [B, Hq, Tq, Tk], qOffset: offset, kvOffset, mask: context.mask }) }),
    ...(starts && { starts: inRowsOfK(starts) }),
    ...(lengths && { lengths: inRowsOfK(lengths) }),
  });
  cache?.advance(Tq);
  return o;
}
