import { lookUp, scoreTokens } from "@polyhead/core";

/** The table of the way in, E, and that of the way out, U, both `[vocab, width]`. */
export interface UntiedTables {
  readonly weight: Float64Array;
  readonly head: Float64Array;
}

/** x = E[id]. */
export const embedReference = (ids: ArrayLike<number>, { weight }: UntiedTables, width: number): Float64Array => lookUp(ids, weight, width);

/** logits = U h. */
export const logitsReference = (hidden: Float64Array, { head }: UntiedTables, width: number): Float64Array => scoreTokens(hidden, head, width);
