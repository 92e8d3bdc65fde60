import { shapeError, showShape, TensorError } from "../errors.ts";
import { MOST_EXPERTS, routeRows, routeRowsBackward, type GroupScore, type Scoring } from "../kernels/route.ts";
import { requireF32 } from "../operands.ts";
import { sameShape } from "../shape.ts";
import { link } from "../tape.ts";
import type { Tensor } from "../tensor.ts";
import { contiguous } from "../views.ts";

export { MOST_EXPERTS, type GroupScore, type Scoring } from "../kernels/route.ts";

export interface RouteOptions {
  /** Experts that each token goes to. */
  readonly active: number;
  /** Of one token over all experts, or of each expert by itself. Default `softmax`. */
  readonly scoring?: Scoring;
  /** Experts come in so many equal runs, of which the best `activeGroups` stay open. Default 1. */
  readonly groups?: number;
  /** Default: all groups. */
  readonly activeGroups?: number;
  /** What a group is worth: its largest score, or the sum of its two largest. Default `max`. */
  readonly groupScore?: GroupScore;
  /** Weights are shares of the sum of the chosen scores. Default false. */
  readonly normalize?: boolean;
  /** Factor of every weight. Default 1. */
  readonly scale?: number;
  /** f32 [E], added to the scores for the choice alone, never to the weights. Gets no gradient. */
  readonly correction?: Tensor;
}

export interface Routing {
  /** u32 [N, active], best first; among equals the lower index is. */
  readonly experts: Tensor;
  /** f32 [N, active]. */
  readonly weights: Tensor;
  /** f32 [N, E]: softmax or sigmoid of the logits, without the correction. No gradient passes through it. */
  readonly scores: Tensor;
}

/**
 * Chooses experts for every token, as DeepSeek-V2 (arXiv:2405.04434 §2.2) and V3 (arXiv:2412.19437 §2.1.2) do: scores, a
 * correction for the choice, groups of which the best stay open, the largest of what is open. Gradients reach the logits
 * through the weights; the choice itself has none. Deterministic. A score of NaN is chosen last, and nothing from a closed group
 * ever is, even where the correction takes all open scores below 0.
 *
 * @param logits  [N, E], f32, at most 1,024 experts
 * @throws TensorError `TENSOR_SHAPE` for shapes, `TENSOR_VALUE` for options that no routing fits, `TENSOR_DTYPE`.
 */
export function routeExperts(logits: Tensor, options: RouteOptions): Routing {
  const { active, scoring = "softmax", groups = 1, activeGroups = groups, groupScore = "max", normalize = false, scale = 1, correction } = options;
  requireF32(logits, "routeExperts");
  const experts = logits.shape[1] ?? 0;
  if (logits.rank !== 2 || experts === 0 || experts > MOST_EXPERTS) shapeError(`routeExperts of logits ${showShape(logits.shape)}`, `give [tokens, experts] with 1 to ${MOST_EXPERTS} experts`);
  if (correction !== undefined && !sameShape(correction.shape, [experts])) shapeError(`routeExperts to ${experts} experts with a correction of shape ${showShape(correction.shape)}`, `give a correction of shape [${experts}]`);
  if (correction !== undefined) requireF32(correction, "the correction of routeExperts");
  const obstacle = unroutable({ experts, active, groups, activeGroups, groupScore });
  if (obstacle !== undefined) throw new TensorError("TENSOR_VALUE", obstacle.message, obstacle.fix);
  const { engine } = logits;
  const form = { scoring, normalize };
  return engine.scope(() => {
    const { scores, experts: chosen, weights } = engine.noGrad(() => routeRows(contiguous(logits), correction && contiguous(correction), form, { active, groups, activeGroups, groupScore, scale }));
    link(weights, {
      name: "routeExperts",
      inputs: [logits],
      saves: [scores, chosen, weights],
      backward: (grad, [s, e, w]) => [routeRowsBackward(contiguous(grad), { scores: s!, experts: e!, weights: w! }, form, scale)],
    });
    return { experts: chosen, weights, scores };
  });
}

export interface RouteCounts {
  readonly experts: number;
  readonly active: number;
  readonly groups: number;
  readonly activeGroups: number;
  readonly groupScore: GroupScore;
}

/** Why no token can be routed like this, and what would do; undefined where it can. */
export function unroutable({ experts, active, groups, activeGroups, groupScore }: RouteCounts): { readonly kind: "active" | "groups"; readonly message: string; readonly fix: string } | undefined {
  const between = (n: number, low: number, high: number): boolean => Number.isInteger(n) && n >= low && n <= high;
  if (!between(active, 1, experts)) return { kind: "active", message: `${active} active experts of ${experts}`, fix: `choose from 1 to ${experts}` };
  if (!between(groups, 1, experts) || experts % groups !== 0) return { kind: "groups", message: `${experts} experts in ${groups} groups`, fix: "choose a number of groups that divides the experts" };
  if (!between(activeGroups, 1, groups)) return { kind: "groups", message: `${activeGroups} active groups of ${groups}`, fix: `choose from 1 to ${groups}` };
  const size = experts / groups;
  if (active > activeGroups * size) return { kind: "active", message: `${active} active experts from ${activeGroups} groups of ${size}`, fix: `open more groups, or choose at most ${activeGroups * size} experts` };
  if (groups > 1 && groupScore === "top2" && size < 2) return { kind: "groups", message: `groups of ${size} expert, scored by their two best`, fix: "make groups of two experts or more, or score them by 'max'" };
  return undefined;
}
