import { evaluate } from "@polyhead/expr";
import type { QueryRows, ScoreHook } from "../contracts/hooks.ts";
import { type Array64, zeros64 } from "./array.ts";
import type { Cell } from "./attention.ts";
import type { CaptureGradients } from "./captures.ts";
import type { ReferenceInputs, Sizes } from "./inputs.ts";
import { hooked } from "./qk.ts";

/** What a hook draws from the query of a cell: scale · q̂ᵢ · rows[r]. */
type QuerySum = (cell: Cell) => number;

/** The product of a query with the row that its score is given (Shaw et al., 2018, eq. 4). */
interface Draw {
  readonly scale: number;
  /** q̂, after the qk hooks. */
  readonly q: Float64Array;
  /** Start of the cell's query in q̂, and of its row in `rows`. */
  readonly place: (cell: Cell) => readonly [query: number, row: number];
}

function drawOf({ row }: QueryRows, inputs: ReferenceInputs, { Hq, Tq, D }: Sizes): Draw {
  return {
    scale: inputs.scale ?? 1 / Math.sqrt(D),
    q: Float64Array.from(hooked(inputs, "q").data),
    place: ({ b, h, i, global }) => [((b * Hq + h) * Tq + i) * D, (evaluate(row, Object.fromEntries(Object.keys(row.vars).map((name) => [name, global[name as keyof typeof global]])))[0] ?? NaN) * D],
  };
}

/** For each score hook what it draws from the queries; undefined for one that draws nothing. */
export function querySums(inputs: ReferenceInputs, sizes: Sizes): readonly (QuerySum | undefined)[] {
  return (inputs.score ?? []).map(({ queries }) => {
    if (queries === undefined) return undefined;
    const { scale, q, place } = drawOf(queries, inputs, sizes);
    const { data: rows } = queries.rows;
    return (cell) => {
      const [query, row] = place(cell);
      let dot = 0;
      for (let d = 0; d < sizes.D; d++) dot += (q[query + d] ?? NaN) * (rows[row + d] ?? NaN);
      return scale * dot;
    };
  });
}

/** Gives ds, d loss/d (score after the hook), to the query and to the row of its cell. */
export type QueryPull = (cell: Cell, ds: number) => void;

/** The counterpart of {@link querySums}: adds to `dq`, the gradient of q̂, and to that of the rows. */
export function queryPull(hook: ScoreHook, inputs: ReferenceInputs, sizes: Sizes, dq: Array64, captures: CaptureGradients): QueryPull | undefined {
  const { queries } = hook;
  if (queries === undefined) return undefined;
  const { scale, q, place } = drawOf(queries, inputs, sizes);
  const { rows } = queries;
  let dRows = captures.get(rows);
  if (dRows === undefined) captures.set(rows, (dRows = zeros64(rows.shape)));
  const { data } = dRows;
  return (cell, ds) => {
    const [query, row] = place(cell);
    for (let d = 0; d < sizes.D; d++) {
      dq.data[query + d] = (dq.data[query + d] ?? NaN) + scale * ds * (rows.data[row + d] ?? NaN);
      data[row + d] = (data[row + d] ?? NaN) + scale * ds * (q[query + d] ?? NaN);
    }
  };
}
