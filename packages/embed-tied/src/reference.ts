import { lookUp, scoreTokens } from "@polyhead/core";

/** The tied table U `[vocab, width]`. */
export interface TiedTables {
  readonly weight: Float64Array;
}

/**
 * Weight tying (Press and Wolf, 2017, arXiv:1608.05859): one table maps a token to its vector and, transposed, a hidden
 * state to its logits: x = U[id].
 */
export const embedReference = (ids: ArrayLike<number>, { weight }: TiedTables, width: number): Float64Array => lookUp(ids, weight, width);

/** logits = U h. */
export const logitsReference = (hidden: Float64Array, { weight }: TiedTables, width: number): Float64Array => scoreTokens(hidden, weight, width);
