import { capture, definePosition, scoreHook, scoreMod, type PositionPlugin } from "@polyhead/core";

export interface RelativeBiasConfig {
  /** The largest distance R told apart, to either side. Default 128. */
  readonly maxDistance?: number;
  /** Standard deviation of the initial table. Default 0.02. */
  readonly std?: number;
  /** Each layer learns a table of its own. Default true. */
  readonly perLayer?: boolean;
}

/** The plainest relative bias: a learned number for each head and each distance from −R to R. */
export const relativeBias: PositionPlugin<"relative-bias", "score", RelativeBiasConfig> = definePosition({
  name: "relative-bias",
  sites: ["score"],
  options: {
    maxDistance: { type: "integer", default: 128, min: 0, doc: "the largest distance told apart, to either side" },
    std: { type: "number", default: 0.02, min: 0, doc: "standard deviation of the initial table" },
    perLayer: { type: "boolean", default: true, doc: "each layer learns a table of its own" },
  },
  create: ({ maxDistance: R = 128, std = 0.02, perLayer = true }: RelativeBiasConfig, { heads }) => {
    const entries = 2 * R + 1;
    const table = capture(new Float32Array(heads * entries), [heads, entries], { name: "table", learned: true });
    const program = scoreMod`score + ${table}[h, clamp(kv - q, -${R}, ${R}) + ${R}]`;
    return { hooks: [scoreHook({ id: "relative-bias", program, inits: { table: { init: { kind: "normal", std } } } })], perLayer };
  },
});
