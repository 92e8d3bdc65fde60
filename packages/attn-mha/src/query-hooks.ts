import { hookOfQueries, PolyheadError, productRows, type BoundHook, type Count, type ScoreHook } from "@polyhead/core";
import { numberOf } from "@polyhead/gpu";
import { concat, matmul, type Tensor } from "@polyhead/tensor";

export interface QueryOptions {
  /** Queries after all qk hooks, `[B, Hq, Tq, D]`; asked for once, where a hook reads them. */
  readonly q: () => Tensor;
  readonly qOffset: Count;
  readonly scale: number;
}

/**
 * Score hooks as kernels take them: one that reads the queries becomes one that reads their products with its rows, scale · q rowsᵀ,
 * a tensor that the tape knows.
 *
 * @throws PolyheadError `ATTN_TABLE`; `ATTN_QUERY_REPLAY` for several queries at a place that changes from replay to replay.
 */
export function withQueries(hooks: readonly BoundHook<Tensor, ScoreHook>[], { q, qOffset, scale }: QueryOptions): readonly BoundHook<Tensor, ScoreHook>[] {
  if (hooks.every(({ hook }) => hook.queries === undefined)) return hooks;
  const queries = q();
  const [batch = 0, heads = 0, rows = 0] = queries.shape;
  return hooks.map(({ hook, params }) => {
    const ready = hookOfQueries(hook, { batch, heads, queries: rows });
    if (ready === undefined) return { hook, params };
    const products = matmul(queries, rowsOf({ hook, params }), { transB: true, scale });
    return { hook: ready.hook, params: { [ready.products.name]: inPlace(products, qOffset) } };
  });
}

function rowsOf({ hook, params }: BoundHook<Tensor, ScoreHook>): Tensor {
  const { name, shape } = hook.queries!.rows;
  const rows = params[name];
  if (rows?.shape.join() === shape.join()) return rows;
  throw new PolyheadError("ATTN_TABLE", `hook '${hook.id}' learns '${name}' of shape [${shape.join(", ")}] and was bound to ${rows === undefined ? "no tensor" : `a tensor of shape [${rows.shape.join(", ")}]`}`, "bind the hook with bindHooks, and allocate its params as declared");
}

/** Moves the query at global position p, along axis 2, to row `p mod productRows`; rows of no query are 0. */
function inPlace(products: Tensor, qOffset: Count): Tensor {
  const { engine, shape } = products;
  const [B = 0, H = 0, T = 0, R = 0] = shape;
  const turn = productRows(T);
  if (turn === 1) return products;
  if (typeof qOffset !== "number" && engine.recording) {
    throw new PolyheadError("ATTN_QUERY_REPLAY", `a step of ${T} queries is recorded at a place that changes from replay to replay, and a score hook reads the queries`, "record steps of one query, or start at a plain number");
  }
  const first = numberOf(qOffset) % turn;
  if (first === 0 && T === turn) return products;
  const part = (start: number, length: number): Tensor[] => (length === 0 ? [] : [products.narrow(2, start, length)]);
  const gap = (length: number): Tensor[] => (length === 0 ? [] : [engine.zeros([B, H, length, R])]);
  const wrapped = Math.max(0, first + T - turn);
  if (wrapped > 0) return concat([...part(T - wrapped, wrapped), ...gap(turn - T), ...part(0, T - wrapped)], 2);
  return concat([...gap(first), ...part(0, T), ...gap(turn - T - first)], 2);
}
