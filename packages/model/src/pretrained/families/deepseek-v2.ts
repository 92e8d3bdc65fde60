import type { Family } from "../family.ts";
import { deepSeekFamily } from "./deepseek.ts";

/** DeepSeek-V2 (2024, arXiv:2405.04434): experts are scored by a softmax over all. */
export const deepseekV2: Family = deepSeekFamily({
  name: "deepseek_v2",
  defaults: { vocab: 32_000, width: 4096, hidden: 11_008, layers: 32, heads: 32, context: 2048, dense: 0, experts: 64, shared: 2, expertWidth: 1407 },
  correction: false,
  routing(read) {
    read.only("scoring_func", ["softmax"], "one softmax over all experts");
    // DeepSeek's code divides instead of scaling then, and transformers does not divide at all.
    read.only("norm_topk_prob", [false], "weights that are scaled and not divided by their sum, since implementations differ in the other");
    const limited = read.word("topk_method", { greedy: false, group_limited_greedy: true }, "greedy");
    return {
      scoring: "softmax", normalize: false, scale: read.number("routed_scaling_factor", 1),
      ...(limited && { groups: read.integer("n_group"), activeGroups: read.integer("topk_group"), groupScore: "max" }),
    };
  },
});
