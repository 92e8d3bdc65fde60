import type { Family } from "../family.ts";
import { deepSeekFamily } from "./deepseek.ts";

/** DeepSeek-V3 (2024, arXiv:2412.19437): each expert is scored by itself, and a bias balances the choice among them. */
export const deepseekV3: Family = deepSeekFamily({
  name: "deepseek_v3",
  defaults: { vocab: 129_280, width: 7168, hidden: 18_432, layers: 61, heads: 128, context: 4096, dense: 3, experts: 256, shared: 1, expertWidth: 2048 },
  correction: true,
  // The layer that predicts a second token, which generation does without.
  ignored: [/^model\.layers\.61\./],
  routing(read) {
    read.only("scoring_func", ["sigmoid"], "a sigmoid of each expert");
    read.only("topk_method", ["noaux_tc"], "a choice that a stored bias corrects");
    const groups = read.integer("n_group", 8);
    return {
      scoring: "sigmoid", correction: true, normalize: read.boolean("norm_topk_prob", true), scale: read.number("routed_scaling_factor", 2.5),
      ...(groups > 1 && { groups, activeGroups: read.integer("topk_group", 4), groupScore: "top2" }),
    };
  },
});
