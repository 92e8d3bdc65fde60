import { capture, definePosition, scoreHook, scoreMod, type Capture, type NumberExpr, type PositionPlugin } from "@polyhead/core";

export interface FireConfig {
  /** Units of the hidden layer. Default 32, as in the paper. */
  readonly width?: number;
  /** The threshold L at the start. Default 512. */
  readonly threshold?: number;
  /** c of ψ(x) = log(cx + 1) at the start. Default 0.1. */
  readonly c?: number;
  /** Each layer learns a function of its own. Default true; the paper's FIRE-S shares one. */
  readonly perLayer?: boolean;
}

/**
 * Functional interpolation of relative positions (Li et al., 2023, arXiv:2310.04418): a small MLP of the distance as a share of the
 * query's position, ψ(i − j) / ψ(max(L, i)), so that a longer text meets only inputs that training met. c and L are learned; what
 * is trained of L is its factor, since steps that suit weights would never move a number in the hundreds.
 */
export const fire: PositionPlugin<"fire", "score", FireConfig> = definePosition({
  name: "fire",
  sites: ["score"],
  options: {
    width: { type: "integer", default: 32, min: 1, doc: "units of the hidden layer" },
    threshold: { type: "number", default: 512, min: 1, doc: "the threshold L at the start" },
    c: { type: "number", default: 0.1, min: 0, doc: "c of log(cx + 1) at the start" },
    perLayer: { type: "boolean", default: true, doc: "each layer learns a function of its own" },
  },
  create: ({ width = 32, threshold = 512, c: firstC = 0.1, perLayer = true }: FireConfig, { heads }) => {
    const learned = (name: string, shape: readonly number[], data: Float32Array = new Float32Array(shape.reduce((a, b) => a * b, 1))): Capture => capture(data, shape, { name, learned: true });
    const [c, factor] = [learned("c", [], Float32Array.of(firstC)), learned("L", [], Float32Array.of(1))];
    const [w1, b1, w2, b2] = [learned("w1", [width]), learned("b1", [width]), learned("w2", [heads, width]), learned("b2", [heads])];
    const program = scoreMod(({ score, h, q, kv }) => {
      const L = factor.at().mul(threshold).abs();
      const psi = (x: NumberExpr): NumberExpr => x.mul(c).abs().add(1).log();
      const share = psi(q.sub(kv)).div(psi(q.max(L)).add(1e-6));
      const units = Array.from({ length: width }, (_, u) => share.mul(w1.at(u)).add(b1.at(u)).max(0).mul(w2.at(h, u)));
      return units.reduce((sum, unit) => sum.add(unit), score.add(b2.at(h)));
    });
    // The variance of a linear layer's usual uniform start, for 1 and for `width` inputs.
    const normal = (inputs: number): { readonly init: { readonly kind: "normal"; readonly std: number } } => ({ init: { kind: "normal", std: 1 / Math.sqrt(3 * inputs) } });
    const inits = { w1: normal(1), b1: normal(1), w2: normal(width), b2: { init: "zeros" } } as const;
    return { hooks: [scoreHook({ id: "fire", program, inits })], perLayer };
  },
});
