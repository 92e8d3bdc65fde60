import type { ParamSpec, ParamSpecs } from "@polyhead/core";

/** Sizes of one latent layer. */
export interface LatentLayout {
  readonly width: number;
  readonly heads: number;
  /** Features of the latent that keys and values are made of; d_c in the paper. */
  readonly kvRank: number;
  /** Features of the compressed query, d_c′; undefined where queries are not compressed. */
  readonly queryRank: number | undefined;
  /** Features of a query or key head that no position turns; d_h. */
  readonly nopeDim: number;
  /** Features of the key that positions turn, which all heads share; d_h^R. */
  readonly ropeDim: number;
  /** Features of a value head. */
  readonly valueDim: number;
  /** Of the down-projections and the projection back to the stream. */
  readonly bias: boolean;
  readonly scale: number;
  readonly normEpsilon: number;
}

/** The parameters; weights are `[out, in]`. `up` holds each head's W_UK rows and then its W_UV rows, `down` the latent's rows and then the shared key's. */
export function latentParams({ width, heads, kvRank, queryRank, nopeDim, ropeDim, valueDim, bias }: LatentLayout): ParamSpecs {
  const weight = (outputs: number, inputs: number, residual = false): ParamSpec => ({ shape: [outputs, inputs], init: { kind: "normal", std: 0.02 }, decay: true, residual });
  const offset = (outputs: number): ParamSpec => ({ shape: [outputs], init: "zeros", decay: false });
  const gain = (features: number): ParamSpec => ({ shape: [features], init: "ones", decay: false });
  const queryRows = heads * (nopeDim + ropeDim);
  const query: ParamSpecs =
    queryRank === undefined
      ? { "query.weight": weight(queryRows, width) }
      : { "queryDown.weight": weight(queryRank, width), ...(bias && { "queryDown.bias": offset(queryRank) }), "queryNorm.weight": gain(queryRank), "queryUp.weight": weight(queryRows, queryRank) };
  return {
    ...query,
    "down.weight": weight(kvRank + ropeDim, width),
    ...(bias && { "down.bias": offset(kvRank + ropeDim) }),
    "latentNorm.weight": gain(kvRank),
    "up.weight": weight(heads * (nopeDim + valueDim), kvRank),
    "out.weight": weight(width, heads * valueDim, true),
    ...(bias && { "out.bias": offset(width) }),
  };
}
