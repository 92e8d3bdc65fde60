import { capture, definePosition, PolyheadError, scoreHook, scoreMod, type PositionPlugin } from "@polyhead/core";
import { relativeBucket, type BucketOptions } from "./reference.ts";

export interface T5Config {
  /** Default 32; T5's `relative_attention_num_buckets`. */
  readonly buckets?: number;
  /** Distances from here on share a bucket. Default 128; T5's `relative_attention_max_distance`. */
  readonly maxDistance?: number;
  /** Tell keys after the query from those before it, as T5's encoder does. Default: where the model's mask lets a query look ahead. */
  readonly bidirectional?: boolean;
  /** Standard deviation of the initial table. Default 1/√width, as in T5. */
  readonly std?: number;
  /** Each layer learns a table of its own. Default false: T5 shares one. */
  readonly perLayer?: boolean;
}

/** @throws PolyheadError `T5_BUCKETS` naming the counts that do not fit. */
function checkBuckets({ bidirectional, buckets, maxDistance }: BucketOptions): void {
  const sides = bidirectional ? 2 : 1;
  const exact = Math.floor(buckets / sides / 2);
  if (exact >= 1 && buckets % sides === 0 && maxDistance > exact) return;
  throw new PolyheadError("T5_BUCKETS", `${buckets} buckets for distances up to ${maxDistance}${bidirectional ? ", to both sides" : ""}; expected at least ${2 * sides} of them${bidirectional ? ", an even number" : ""}, and a distance above ${Math.max(1, exact)}`, "T5 has 32 buckets and a distance of 128");
}

/** Relative position biases by buckets of distance (Raffel et al., 2020, arXiv:1910.10683): a learned number a bucket and head. */
export const t5: PositionPlugin<"t5", "score", T5Config> = definePosition({
  name: "t5",
  sites: ["score"],
  options: {
    buckets: { type: "integer", default: 32, min: 2, doc: "number of buckets" },
    maxDistance: { type: "integer", default: 128, min: 2, doc: "distances from here on share a bucket" },
    bidirectional: { type: "boolean", doc: "tell keys after the query from those before it; default where the mask lets a query look ahead" },
    std: { type: "number", min: 0, doc: "standard deviation of the initial table, 1/sqrt(width) if left out" },
    perLayer: { type: "boolean", default: false, doc: "each layer learns a table of its own" },
  },
  create: ({ buckets = 32, maxDistance = 128, bidirectional: given, std, perLayer = false }: T5Config, { heads, width, causal }) => {
    const bidirectional = given ?? !causal;
    checkBuckets({ bidirectional, buckets, maxDistance });
    const last = maxDistance;
    // Found on the CPU once: a device's logarithm may put a distance next to a bound on the wrong side of it.
    const numbers = Int32Array.from({ length: 2 * last + 1 }, (_, at) => relativeBucket(at - last, { bidirectional, buckets, maxDistance }));
    const bucket = capture(numbers, [numbers.length], { name: "bucket" });
    const table = capture(new Float32Array(buckets * heads), [buckets, heads], { name: "table", learned: true });
    const program = scoreMod`score + ${table}[${bucket}[clamp(kv - q, -${last}, ${last}) + ${last}], h]`;
    return { hooks: [scoreHook({ id: "t5", program, inits: { table: { init: { kind: "normal", std: std ?? 1 / Math.sqrt(width) } } } })], perLayer };
  },
});
