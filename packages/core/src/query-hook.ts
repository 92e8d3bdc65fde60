import { placeholder, scoreMod, type Capture, type NumberExpr, type Program } from "@polyhead/expr";
import type { QueryRows, ScoreHook } from "./contracts/hooks.ts";
import { PolyheadError } from "./errors.ts";
import { learnedParams, scoreHook, type CaptureInits } from "./hooks.ts";

/** What {@link queryHook} is made of. */
export interface QueryHookDraft extends QueryRows {
  readonly id: string;
  readonly inits?: CaptureInits;
}

/** The sizes of a call that the products of its queries depend on. */
export interface QuerySizes {
  readonly batch: number;
  readonly heads: number;
  readonly queries: number;
}

/** A hook made for one call, and the table it reads. */
export interface HookOfQueries {
  readonly hook: ScoreHook;
  /** A placeholder f32 `[batch, heads, productRows(queries), rows]`: the products of the query at global position q in row `q mod productRows`. */
  readonly products: Capture;
}

/**
 * Rows that a table of products has: the next power of two, so that prompts of any length meet few shapes, and so few kernels.
 * Rows are taken modulo this, so that no hook need know where its queries start.
 */
export function productRows(queries: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, queries)));
}

const PLACES = ["b", "h", "q", "kv"];

/**
 * A score hook that adds the product of the query with a learned row (Shaw et al., 2018, arXiv:1803.02155, eq. 4).
 * @throws PolyheadError HOOK_QUERIES when `rows` is no learned table of two axes, or `row` is not of h, q and kv.
 */
export function queryHook({ id, rows, row, inits }: QueryHookDraft): ScoreHook {
  if (!(rows.learned && rows.shape.length === 2)) {
    throw new PolyheadError("HOOK_QUERIES", `the rows of hook '${id}' are ${rows.learned ? "a learned" : "a fixed"} table [${rows.shape.join(", ")}]; expected a learned one [rows, headDim]`, "capture(data, [rows, headDim], { learned: true, name })");
  }
  const fits = row.type === "i32" && row.outputs.length === 1 && Object.entries(row.vars).every(([name, type]) => type === "i32" && PLACES.includes(name));
  if (!fits) {
    throw new PolyheadError("HOOK_QUERIES", `the row of hook '${id}' is ${row.type} of (${Object.keys(row.vars).join(", ")}); expected one i32 of ${PLACES.join(", ")}`, 'write it with formula({ q: "i32", kv: "i32" })');
  }
  const reference = (): never => {
    throw new PolyheadError("HOOK_QUERIES", `hook '${id}' has no value without the queries`, "run it through an attention layer or referenceAttention, which know them");
  };
  const { program } = readProducts({ rows, row }, { batch: 1, heads: 1, queries: 1 });
  return Object.freeze({ site: "score", id, program, additive: true, learned: true, params: learnedParams({ captures: [rows] }, inits), queries: Object.freeze({ rows, row }), reference });
}

const made = new WeakMap<ScoreHook, Map<string, HookOfQueries>>();

/**
 * The hook that a kernel is given in place of one that reads the queries; the same for equal sizes, so that nothing is compiled
 * or derived twice. Undefined for a hook that reads none.
 */
export function hookOfQueries(hook: ScoreHook, sizes: QuerySizes): HookOfQueries | undefined {
  const { queries: draws, id } = hook;
  if (draws === undefined) return undefined;
  let bySizes = made.get(hook);
  if (bySizes === undefined) made.set(hook, (bySizes = new Map<string, HookOfQueries>()));
  const key = [sizes.batch, sizes.heads, productRows(sizes.queries)].join();
  let found = bySizes.get(key);
  if (found === undefined) {
    const { program, products } = readProducts(draws, sizes);
    bySizes.set(key, (found = { hook: scoreHook({ id, program }), products }));
  }
  return found;
}

function readProducts({ rows, row }: QueryRows, { batch, heads, queries }: QuerySizes): { readonly program: Program; readonly products: Capture } {
  const turn = productRows(queries);
  const products = placeholder([batch, heads, turn, rows.shape[0]!], { name: "products" });
  const chosen = row.outputs[0] as NumberExpr;
  return { products, program: scoreMod(({ score, b, h, q }) => score.add(products.at(b, h, q.mod(turn), chosen))) };
}
