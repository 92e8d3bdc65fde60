import { capture, definePosition, formula, queryHook, type PositionPlugin } from "@polyhead/core";

export interface ShawConfig {
  /** The largest distance R told apart, to either side. Default 16, the paper's k. */
  readonly maxDistance?: number;
  /** Standard deviation of the initial rows. Default 0.02. */
  readonly std?: number;
  /** Each layer learns rows of its own; heads share them. Default true. */
  readonly perLayer?: boolean;
}

/**
 * Relative positions as vectors that keys gain (Shaw et al., 2018, arXiv:1803.02155, eq. 4): qᵢ · (kⱼ + a_ij), with a row of a for each
 * clipped distance. Of the two kinds of the paper this is the one for keys; it found that the other, for values, adds nothing to it.
 */
export const shaw: PositionPlugin<"shaw", "score", ShawConfig> = definePosition({
  name: "shaw",
  sites: ["score"],
  options: {
    maxDistance: { type: "integer", default: 16, min: 0, doc: "the largest distance told apart, to either side" },
    std: { type: "number", default: 0.02, min: 0, doc: "standard deviation of the initial rows" },
    perLayer: { type: "boolean", default: true, doc: "each layer learns rows of its own" },
  },
  create: ({ maxDistance: R = 16, std = 0.02, perLayer = true }: ShawConfig, { headDim }) => {
    const entries = 2 * R + 1;
    const rows = capture(new Float32Array(entries * headDim), [entries, headDim], { name: "rows", learned: true });
    const row = formula({ q: "i32", kv: "i32" })`clamp(kv - q, -${R}, ${R}) + ${R}`;
    return { hooks: [queryHook({ id: "shaw", rows, row, inits: { rows: { init: { kind: "normal", std } } } })], perLayer };
  },
});
