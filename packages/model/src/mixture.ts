import type { Params, ParamSpec, ParamSpecs } from "@polyhead/core";
import { add, expertLinear, groupByExpert, linear, mul, routeExperts, sum, swiglu, type Routing, type Tensor } from "@polyhead/tensor";
import type { FeedForward } from "./feed-forward.ts";
import { resolveExperts, type ExpertsConfig } from "./mixture-config.ts";

/** A mixture of experts, `[..., width] → [..., width]`, where a feed-forward sublayer may stand. */
export interface Mixture extends FeedForward {
  /** @param observe  hears the routing of every call, with one row a token: for loads and balancing. Its tensors end with the scope around the call. */
  apply(x: Tensor, params: Params<Tensor>, observe?: (routing: Routing) => void): Tensor;
}

/**
 * Shared experts for every token, and for each its best routed ones (DeepSeekMoE; DeepSeek-V2, arXiv:2405.04434, eq. 20 to 22, and
 * V3, arXiv:2412.19437, eq. 12 to 16):
 *
 *     h = Σ shared FFNₛ(x) + Σ chosen gₑ · FFNₑ(x),    FFN(x) = W_down · (SiLU(W_gate x) ⊙ W_up x)
 *
 * Only the chosen experts are computed. `experts.up` is `[routed, 2·width, in]`, gate first, `experts.down` `[routed, out, width]`; shared
 * experts are one network of `shared × width` features, which is the same sum. With `correction` the choice adds `router.correction`, which no gradient reaches:
 * `updateCorrection` moves it.
 *
 * @throws PolyheadError `EXPERTS_COUNT`, `EXPERTS_ACTIVE`, `EXPERTS_GROUPS` for a config that no routing fits.
 */
export function mixture(width: number, config: ExpertsConfig): Mixture {
  const { routed, active, width: hidden, shared, scoring, groups, activeGroups, groupScore, normalize, scale, correction } = resolveExperts(config);
  const weight = (shape: readonly number[], residual = false): ParamSpec => ({ shape, init: { kind: "normal", std: 0.02 }, decay: true, residual });
  const params: ParamSpecs = {
    "router.weight": weight([routed, width]),
    ...(correction && { "router.correction": { shape: [routed], init: "zeros" as const, decay: false, trainable: false } }),
    "experts.up": weight([routed, 2 * hidden, width]),
    "experts.down": weight([routed, width, hidden], true),
    ...(shared > 0 && { "shared.up.weight": weight([2 * shared * hidden, width]), "shared.down.weight": weight([width, shared * hidden], true) }),
  };
  return {
    params,
    apply(x, params, observe) {
      const tokens = x.reshape([-1, width]);
      const bias = params["router.correction"];
      const routing = routeExperts(linear(tokens, params["router.weight"]!), { active, scoring, groups, activeGroups, groupScore, normalize, scale, ...(bias && { correction: bias }) });
      observe?.(routing);
      const rows = groupByExpert(routing.experts, routed);
      const each = expertLinear(gated(expertLinear(tokens, params["experts.up"]!, rows), hidden), params["experts.down"]!, rows);
      const chosen = sum(mul(each, routing.weights.reshape([tokens.shape[0]!, active, 1])), [1]);
      if (shared === 0) return chosen.reshape(x.shape);
      const always = linear(gated(linear(tokens, params["shared.up.weight"]!), shared * hidden), params["shared.down.weight"]!);
      return add(chosen, always).reshape(x.shape);
    },
  };
}

/** SiLU of the first half of the features times the second. */
const gated = (up: Tensor, hidden: number): Tensor => swiglu(up.narrow(-1, 0, hidden), up.narrow(-1, hidden, hidden));
