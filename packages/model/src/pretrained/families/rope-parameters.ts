import type { ConfigReader } from "./config-reader.ts";

/** What a config says of its rotary positions. */
export interface RopeParameters {
  /** Keys of a spec's `position`. */
  readonly position: Readonly<Record<string, unknown>>;
  /** The same method's parameters as they stand in `position.scaling`; undefined for plain rotation. */
  readonly scaling?: Readonly<Record<string, unknown>> & { readonly ropeType: string };
  /** `partial_rotary_factor`, where the config has one. */
  readonly fraction?: number;
}

export interface RopeDefaults {
  /** `max_position_embeddings`. */
  readonly context: number;
  /** Key of the base beside `rope_theta`. */
  readonly baseKey?: string;
}

/** Parameters of each method by their names in configs. `original_max_position_embeddings` stands for itself in all. */
const TAKES: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ["factor"],
  dynamic: ["factor"],
  yarn: ["factor", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"],
  llama3: ["factor", "low_freq_factor", "high_freq_factor"],
  longrope: ["short_factor", "long_factor", "factor", "attention_factor"],
};
/** LongRoPE was called 'su' at first. */
const TYPES: Readonly<Record<string, string>> = { ...Object.fromEntries(Object.keys(TAKES).map((type) => [type, type])), su: "longrope" };
const GENERAL = ["type", "rope_type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings"];
const KNOWN = new Set([...GENERAL, ...Object.values(TAKES).flat()]);
const LISTS = ["short_factor", "long_factor"];
const FLAGS = ["truncate"];

const camel = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/**
 * Rotary positions in every spelling that configs have used: `rope_theta` and `rope_scaling` with `type` or `rope_type`, or all of it in
 * `rope_parameters`. Parameters of other methods than the one named mean nothing, as in transformers; unknown ones are refused.
 *
 * @throws PolyheadError `PRETRAINED_CONFIG`
 */
export function ropeParameters(config: ConfigReader, { context, baseKey = "rope_theta" }: RopeDefaults): RopeParameters {
  const given = config.group(config.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  const unknown = given.keys.find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw given.refuse(unknown, `no such key; known are ${[...KNOWN].join(", ")}`);
  const ropeType = given.word(given.has("rope_type") ? "rope_type" : "type", TYPES, "default");
  const base = given.has("rope_theta") ? given.number("rope_theta") : config.number([baseKey, "rope_theta"], 10_000);
  const fraction = given.optionalNumber("partial_rotary_factor") ?? config.optionalNumber("partial_rotary_factor");
  const more = fraction === undefined ? {} : { fraction };
  if (ropeType === "default") return { position: { use: "rope", base }, ...more };
  const scaling: Record<string, unknown> & { readonly ropeType: string } = { ropeType };
  for (const key of TAKES[ropeType]!) {
    if (given.has(key)) scaling[camel(key)] = LISTS.includes(key) ? given.numbers(key) : FLAGS.includes(key) ? given.boolean(key) : given.number(key);
  }
  if (ropeType !== "linear") {
    // Said in full, so that a model may be built for a shorter context and turn as it was trained to.
    const trained = given.optionalInteger("original_max_position_embeddings") ?? config.optionalInteger("original_max_position_embeddings");
    scaling["originalMaxPositionEmbeddings"] = trained ?? context;
    if (ropeType === "longrope" && trained !== undefined) scaling["factor"] = context / trained;
    if (ropeType === "yarn" || ropeType === "longrope") scaling["factor"] ??= context / (trained ?? context);
  }
  return { position: { use: "rope", base, scaling }, scaling, ...more };
}
