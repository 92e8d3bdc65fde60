import { createRowCache, gatherPages, joinHeads, runKernel, usableCache, withQkHooks, type HeldRows } from "@polyhead/attn-mha/kernel";
import { PolyheadError, sortHooks, type AttentionContext, type AttentionLayer, type AttentionShape, type BoundHook, type Count, type Params, type PlannedKernel, type QkHook, type Remembered, type ScoreHook } from "@polyhead/core";
import { cast, concat, linear, matmul, rmsNorm, type Engine, type Tensor } from "@polyhead/tensor";
import { isAbsorbed, type DecodeForm } from "./decode-form.ts";
import { latentParams, type LatentLayout } from "./layout.ts";

type Context = AttentionContext<Tensor>;

/** Projections, latent cache and positions around whatever kernel the plan chose. */
export function latentLayer(layout: LatentLayout, form: DecodeForm): AttentionLayer<Tensor> {
  const { heads, kvRank, nopeDim, ropeDim, valueDim } = layout;
  const shape: AttentionShape = { heads, kvHeads: heads, headDimQK: nopeDim + ropeDim, headDimV: valueDim, hookDim: ropeDim };
  return {
    params: latentParams(layout),
    shape,
    ownsQkHooks: true,
    createCache: (engine: Engine, options) => createRowCache(engine, { kvHeads: 1, headDim: kvRank + ropeDim, sharedValues: kvRank }, options),
    remember: (memory, params) => ({ tensors: memory.engine.scope(() => ({ rows: latents(memory, params, layout, (keys) => keys) })) }),
    apply: (x, params, context) => x.engine.scope(() => linear(joinHeads(attend(x, params, layout, form, context)), params["out.weight"]!, params["out.bias"])),
  };
}

/** q split into what no position turns `[B, H, T, nope]` and what they have turned `[B, H, T, rope]`. */
interface SplitQuery {
  readonly plain: Tensor;
  readonly turned: Tensor;
}

function attend(x: Tensor, params: Params<Tensor>, layout: LatentLayout, form: DecodeForm, context: Context): Tensor {
  const { qk, score } = hooksOf(context);
  const { memory, positions } = context;
  const cache = usableCache(context);
  const offset = cache?.position ?? context.offset;
  const q = queries(x, params, layout, (rows) => withQkHooks(rows, "q", qk, { offset, rows: positions }));
  const turn = (keys: Tensor): Tensor => withQkHooks(keys, "k", qk, memory === undefined ? { offset, rows: positions } : { offset: 0 });
  const rows = isRemembered(memory) ? turnedRows(memory.tensors["rows"]!, layout, qk.length === 0 ? undefined : turn) : latents(memory ?? x, params, layout, turn);
  const values = rows.narrow(3, 0, layout.kvRank);
  const held: HeldRows = cache?.append(rows, values) ?? { k: rows, v: values, kvOffset: memory === undefined ? offset : 0 };
  const run = (query: Tensor, read: HeldRows, plan: PlannedKernel<Tensor>): Tensor =>
    runKernel(query, read, { context, plan, sorted: sortHooks(score, plan.how), cache, offset, scale: layout.scale, queries: () => query });

  const { k, keys, kvOffset } = held;
  // A recorded step on live keys takes all rows that there may be.
  const recorded = typeof keys === "object" && x.engine.recording;
  const inUse = keys === undefined || recorded ? k.shape[2]! : numberOf(keys);
  const stored = cache !== undefined || isRemembered(memory);
  if (stored && isAbsorbed(form, layout, { queries: x.shape[1]!, keys: inUse })) {
    const o = run(toLatent(q, params, layout), held, absorbedPlan(context, layout, held.v.shape[3]!));
    return fromLatent(o.narrow(3, 0, layout.kvRank), params, layout);
  }
  const made = keysAndValues(rowsOf(held, inUse), params, layout);
  return run(joined(q), { ...made, kvOffset, ...(keys !== undefined && { keys: recorded ? keys : inUse }) }, context.plan);
}

/** By shape: a tensor has no `tensors`. */
const isRemembered = (memory: Context["memory"]): memory is Remembered<Tensor> => memory !== undefined && "tensors" in memory;

const numberOf = (count: Count): number => (typeof count === "number" ? count : count.value);
const joined = ({ plain, turned }: SplitQuery): Tensor => concat([plain, turned], 3);

/** Rows of a memory with their keys turned, where anything turns them. */
function turnedRows(rows: Tensor, { kvRank, ropeDim }: LatentLayout, turn: ((keys: Tensor) => Tensor) | undefined): Tensor {
  return turn === undefined ? rows : concat([rows.narrow(3, 0, kvRank), turn(rows.narrow(3, kvRank, ropeDim))], 3);
}

/** The first `count` rows that are held, f32 `[B, 1, count, kvRank + ropeDim]`. */
function rowsOf({ k, pages }: HeldRows, count: number): Tensor {
  if (pages !== undefined) return gatherPages(k, pages, count);
  const wide = k.dtype === "f16" ? cast(k, "f32") : k;
  return count === wide.shape[2] ? wide : wide.narrow(2, 0, count);
}

/** @throws PolyheadError `ATTN_HOOK` for a score hook that reads the queries: here they are two things. */
function hooksOf({ hooks }: Context): { readonly qk: readonly BoundHook<Tensor, QkHook<Tensor>>[]; readonly score: Context["hooks"] } {
  const reader = hooks.find(({ hook }) => hook.site === "score" && hook.queries !== undefined);
  if (reader !== undefined) throw new PolyheadError("ATTN_HOOK", `score hook '${reader.hook.id}' reads the queries, which latent attention has in two parts`, "use a position that does not read them, such as 'rope' or 'alibi'");
  return {
    qk: hooks.filter((bound): bound is BoundHook<Tensor, QkHook<Tensor>> => bound.hook.site === "qk"),
    score: hooks.filter((bound): bound is BoundHook<Tensor, ScoreHook> => bound.hook.site === "score"),
  };
}

/** Equations 12 to 14 of the paper, or q = W_Q x where queries are not compressed. */
function queries(x: Tensor, params: Params<Tensor>, { heads, queryRank, nopeDim, ropeDim, normEpsilon }: LatentLayout, turn: (rows: Tensor) => Tensor): SplitQuery {
  const flat =
    queryRank === undefined
      ? linear(x, params["query.weight"]!)
      : linear(rmsNorm(linear(x, params["queryDown.weight"]!, params["queryDown.bias"]), params["queryNorm.weight"], { eps: normEpsilon }), params["queryUp.weight"]!);
  const [B = 0, T = 0] = x.shape;
  const q = flat.reshape([B, T, heads, nopeDim + ropeDim]).permute([0, 2, 1, 3]);
  return { plain: q.narrow(3, 0, nopeDim), turned: turn(q.narrow(3, nopeDim, ropeDim)) };
}

/** What the cache holds of each row: the latent c after its norm and the shared key k^R after the qk hooks, `[B, 1, T, kvRank + ropeDim]`. */
function latents(x: Tensor, params: Params<Tensor>, { kvRank, ropeDim, normEpsilon }: LatentLayout, turn: (keys: Tensor) => Tensor): Tensor {
  const [B = 0, T = 0] = x.shape;
  const down = linear(x, params["down.weight"]!, params["down.bias"]);
  const latent = rmsNorm(down.narrow(2, 0, kvRank), params["latentNorm.weight"], { eps: normEpsilon });
  const key = turn(down.narrow(2, kvRank, ropeDim).reshape([B, 1, T, ropeDim]));
  return concat([latent.reshape([B, 1, T, kvRank]), key], 3);
}

/** k = [W_UK c; k^R] and v = W_UV c of every head, from rows `[B, 1, T, kvRank + ropeDim]`. */
function keysAndValues(rows: Tensor, params: Params<Tensor>, { heads, kvRank, nopeDim, ropeDim, valueDim }: LatentLayout): { readonly k: Tensor; readonly v: Tensor } {
  const [B = 0, , T = 0] = rows.shape;
  const up = linear(rows.narrow(3, 0, kvRank).reshape([B, T, kvRank]), params["up.weight"]!).reshape([B, T, heads, nopeDim + valueDim]).permute([0, 2, 1, 3]);
  const shared = rows.narrow(3, kvRank, ropeDim).expand([B, heads, T, ropeDim]);
  return { k: concat([up.narrow(3, 0, nopeDim), shared], 3), v: up.narrow(3, nopeDim, valueDim) };
}

/** W_UK on top of W_UV of each head, `[H, nope + value, kvRank]`. */
const upOfHeads = (params: Params<Tensor>, { heads, kvRank, nopeDim, valueDim }: LatentLayout): Tensor => params["up.weight"]!.reshape([heads, nopeDim + valueDim, kvRank]);

/**
 * q̃ = [W_UKᵀ q; q^R], so that q̃ · [c; k^R] is the score: `[B, H, T, kvRank + ropeDim]`. Weights of halves have no views: the query is
 * lengthened by zeros there, which W_UV meets.
 */
function toLatent({ plain, turned }: SplitQuery, params: Params<Tensor>, layout: LatentLayout): Tensor {
  const up = upOfHeads(params, layout);
  const { nopeDim, valueDim } = layout;
  const product = up.dtype === "f16" ? matmul(concat([plain, plain.engine.zeros([...plain.shape.slice(0, 3), valueDim])], 3), up) : matmul(plain, up.narrow(1, 0, nopeDim));
  return concat([product, turned], 3);
}

/** W_UV of the weighted latents `[B, H, T, kvRank]`: `[B, H, T, value]`. Of weights of halves, all rows are taken and W_UK's cut off. */
function fromLatent(o: Tensor, params: Params<Tensor>, layout: LatentLayout): Tensor {
  const up = upOfHeads(params, layout);
  const { nopeDim, valueDim } = layout;
  return up.dtype === "f16" ? matmul(o, up, { transB: true }).narrow(3, nopeDim, valueDim) : matmul(o, up.narrow(1, nopeDim, valueDim), { transB: true });
}

/**
 * All query heads share the one key that the cache holds: multi-query attention on the latent. Where halves are stored, which have no
 * views, the shared key is weighted along with it.
 */
function absorbedPlan({ planFor }: Context, { heads, kvRank, ropeDim }: LatentLayout, headDimV: number): PlannedKernel<Tensor> {
  if (planFor === undefined) throw new PolyheadError("ATTN_PLAN", "absorbed decode needs a kernel for heads of other sizes, and the context has no planFor", "give AttentionContext.planFor, as the architectures of @polyhead/model do, or use decode: 'naive'");
  return planFor({ heads, kvHeads: 1, headDimQK: kvRank + ropeDim, headDimV });
}
