import { PolyheadError, type OptionSpec } from "@polyhead/core";
import { MOST_EXPERTS, unroutable, type GroupScore, type Scoring } from "@polyhead/tensor";

/** The `experts` group of a spec: what the letter `m` of an order stands for. */
export interface ExpertsConfig {
  /** Experts that tokens are routed to. */
  readonly routed: number;
  /** Routed experts that each token goes to. */
  readonly active: number;
  /** Hidden features of an expert. */
  readonly width: number;
  /** Experts that every token goes to besides: one gated network of `shared × width` hidden features. Default 0. */
  readonly shared?: number;
  /** DeepSeek-V2 scores experts by a softmax over all, V3 each by a sigmoid. Default `softmax`. */
  readonly scoring?: Scoring;
  /** Runs of neighbouring experts, of which the best `activeGroups` stay open for a token. Default 1. */
  readonly groups?: number;
  /** Default: all. */
  readonly activeGroups?: number;
  /** A group is worth its best score (V2), or its two best (V3). Default `max`. */
  readonly groupScore?: GroupScore;
  /** Weights are shares of the sum of the chosen scores. Default false. */
  readonly normalize?: boolean;
  /** Factor of the weights. Default 1. */
  readonly scale?: number;
  /** Keeps a correction of the scores for the choice, which `updateCorrection` balances. Default false. */
  readonly correction?: boolean;
}

/** The same with every default filled in. */
export type ResolvedExperts = Required<ExpertsConfig>;

const EXPERTS: Readonly<Record<keyof ExpertsConfig, OptionSpec>> = {
  routed: { type: "integer", min: 1, max: MOST_EXPERTS, doc: "experts that tokens are routed to" },
  active: { type: "integer", min: 1, doc: "routed experts that each token goes to" },
  width: { type: "integer", min: 1, doc: "hidden features of an expert" },
  shared: { type: "integer", min: 0, default: 0, doc: "experts that every token goes to besides" },
  scoring: { type: "choice", choices: ["softmax", "sigmoid"], default: "softmax", doc: "scores of one token over all experts, or of each expert by itself" },
  groups: { type: "integer", min: 1, default: 1, doc: "runs of neighbouring experts, of which only the best stay open for a token" },
  activeGroups: { type: "integer", min: 1, doc: "groups that stay open; default all" },
  groupScore: { type: "choice", choices: ["max", "top2"], default: "max", doc: "a group is worth its best score, or its two best" },
  normalize: { type: "boolean", default: false, doc: "weights are shares of the sum of the chosen scores" },
  scale: { type: "number", default: 1, doc: "factor of the weights" },
  correction: { type: "boolean", default: false, doc: "keep a correction of the scores for the choice, learned outside of the gradient" },
};

/** Options of the `experts` group. */
export const EXPERTS_OPTIONS: Readonly<Record<string, OptionSpec>> = EXPERTS;

/**
 * The config with every default filled in.
 *
 * @throws PolyheadError `EXPERTS_COUNT` for numbers that no expert has, `EXPERTS_ACTIVE` when a token cannot find so many,
 *   `EXPERTS_GROUPS` for groups that do not divide the experts.
 */
export function resolveExperts(config: ExpertsConfig): ResolvedExperts {
  const { routed, active, width, shared = 0, scoring = "softmax", groups = 1, activeGroups = groups, groupScore = "max", normalize = false, scale = 1, correction = false } = config;
  const counts: readonly (readonly [name: string, value: number, least: number, most: number])[] = [["routed", routed, 1, MOST_EXPERTS], ["width", width, 1, Infinity], ["shared", shared, 0, Infinity]];
  for (const [name, value, least, most] of counts) {
    if (!Number.isInteger(value) || value < least || value > most) throw new PolyheadError("EXPERTS_COUNT", `experts.${name} is ${value}`, `give a whole number, at least ${least}${most === Infinity ? "" : ` and at most ${most}`}`);
  }
  const obstacle = unroutable({ experts: routed, active, groups, activeGroups, groupScore });
  if (obstacle !== undefined) throw new PolyheadError(obstacle.kind === "active" ? "EXPERTS_ACTIVE" : "EXPERTS_GROUPS", obstacle.message, obstacle.fix);
  return { routed, active, width, shared, scoring, groups, activeGroups, groupScore, normalize, scale, correction };
}
