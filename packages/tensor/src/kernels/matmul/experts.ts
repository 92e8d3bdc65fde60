import { wgsl } from "@polyhead/gpu";
import type { MatmulSpec } from "./spec.ts";

/*
 * Products of rows with the matrices of their experts, by the tiles of any other product. Pairs (token, choice) are sorted by expert:
 *   pairs    [P]      the pair at every place of that order
 *   sources  [P]      the row of x that it reads
 *   starts   [E + 1]  where the places of an expert begin
 *   tiles    [T, 2]   expert and first place of every tile of `m` places
 * products: y[pair] = x[source] · op(w[expert]); `group.z` is a tile, A's rows are found by `sources`, C's by `pairs`
 * weights:  dw[expert] = Σ g[pair]ᵀ x[source]; `group.z` is an expert, and K walks its places
 * w or dw is bound in runs of `experts` from `first`; a tile of another run has no steps and stores nothing.
 */

/** How an operand finds its rows, or its steps along K, in memory. */
export interface ExpertRowsOf {
  readonly row?: string;
  readonly step?: (k: string) => string;
  readonly inner?: string;
}

interface ExpertAccess {
  readonly declarations: readonly string[];
  readonly a?: ExpertRowsOf;
  readonly b?: ExpertRowsOf;
}

/** What the loaders of a product through a routing need; nothing for any other. */
export function expertRows({ experts }: MatmulSpec): ExpertAccess {
  switch (experts) {
    case "products":
      return { declarations: ["var<private> placeAt: u32;", "var<private> placeEnd: u32;"], a: { row: "sources[min(placeAt + row, params.last)]" } };
    case "weights": {
      const through = (table: string): ExpertRowsOf => ({ step: (k) => `${table}[placeAt + ${k}]`, inner: "innerK" });
      return { declarations: ["var<private> placeAt: u32;", "var<private> innerK: u32;"], a: through("pairs"), b: through("sources") };
    }
    default:
      return { declarations: [] };
  }
}

/** Declares where this workgroup's operands start, and `span`, the length of K. Loops with barriers need it as a local. */
export const expertBases = (experts: "products" | "weights"): string =>
  experts === "products"
    ? wgsl`
  let own = tiles[2u * group.z] - params.first;
  let live = own < params.experts;
  placeAt = tiles[2u * group.z + 1u];
  placeEnd = select(0u, starts[params.first + select(0u, own, live) + 1u], live);
  let span = select(0u, params.k, live);
  let aStart = 0u;
  let bStart = select(0u, own, live) * params.stride;
  let cBase = 0u;`
    : wgsl`
  let start = starts[params.first + group.z];
  let span = starts[params.first + group.z + 1u] - start;
  placeAt = start;
  innerK = span;
  let aStart = 0u;
  let bStart = 0u;
  let cBase = group.z * params.stride;`;

/** Where a row of a tile is stored: nowhere past the end of its expert. */
export const expertStore: string = wgsl`let place = placeAt + row;
  if (place >= placeEnd) { return; }
  let at = pairs[place] * params.ldc + column;`;
