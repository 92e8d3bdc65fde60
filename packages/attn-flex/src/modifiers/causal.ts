import { causal as causalMask, type CausalMask } from "@polyhead/core";
import { drawnMask, type Drawn } from "../drawn.ts";

/** A query sees itself and what came before: Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, §3.2.3. */
export function causal(): CausalMask & Drawn {
  return drawnMask("causal", causalMask(), 16);
}
