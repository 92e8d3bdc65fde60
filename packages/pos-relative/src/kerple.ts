import { capture, definePosition, scoreHook, scoreMod, type PositionPlugin } from "@polyhead/core";
import type { KerpleForm } from "./reference.ts";

export interface KerpleConfig {
  /** `log` (default): −r₁ log(1 + r₂ d), the one that extrapolates best in the paper; `power`: −r₁ d^r₂. */
  readonly form?: KerpleForm;
  /** Each layer learns r₁ and r₂ of its own. Default false. */
  readonly perLayer?: boolean;
}

/**
 * Kernelised relative positions (Chi et al., 2022, arXiv:2205.09921): scores fall with the distance d by a kernel of two learned numbers
 * a head. These must stay positive, so what is trained is log r₁ and log r₂, and for `power`, whose r₂ ends at 2, the logit of r₂ / 2.
 */
export const kerple: PositionPlugin<"kerple", "score", KerpleConfig> = definePosition({
  name: "kerple",
  sites: ["score"],
  options: {
    form: { type: "choice", choices: ["log", "power"], default: "log", doc: "which kernel of distance" },
    perLayer: { type: "boolean", default: false, doc: "each layer learns numbers of its own" },
  },
  create: ({ form = "log", perLayer = false }: KerpleConfig, { heads }) => {
    // Heads start apart: r₁ evenly over (0, 2), r₂ over (0, 1).
    const spread = (f: (share: number) => number): Float32Array => Float32Array.from({ length: heads }, (_, h) => f((h + 0.5) / heads));
    const learned = (name: string, data: Float32Array) => capture(data, [heads], { name, learned: true });
    const r1 = learned("logR1", spread((share) => Math.log(2 * share)));
    const r2 = form === "log" ? learned("logR2", spread(Math.log)) : learned("logitR2", spread((share) => Math.log(share / (2 - share))));
    const program = form === "log"
      ? scoreMod`score - exp(${r1}[h]) * log(1.0 + exp(${r2}[h]) * abs(q - kv))`
      // d^r₂ with d at least 1, for a derivative that is never 0 · log 0.
      : scoreMod`d = abs(q - kv); score - (d == 0 ? 0.0 : exp(${r1}[h] + 2.0 * sigmoid(${r2}[h]) * log(max(d, 1))))`;
    return { hooks: [scoreHook({ id: "kerple", program })], perLayer };
  },
});
