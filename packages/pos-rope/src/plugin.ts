import { capture, definePosition, pairMod, PolyheadError, type PositionPlugin, type QkPairHook } from "@polyhead/core";
import { checkScaling, SCALING } from "./check-scaling.ts";
import { rotate, rotaryTables, unrotate, type RotaryLayout } from "./reference.ts";
import { ropeFrequencies, type RopeScaling } from "./scaling.ts";

export interface RopeConfig {
  /** Base of the geometric series of frequencies; larger turns slower. Default 10,000. */
  readonly base?: number;
  /** `half` (default): Llama and GPT-NeoX in Hugging Face's layout; `interleaved`: GPT-J and the RoFormer paper. */
  readonly layout?: RotaryLayout;
  /** Leading elements of a head to rotate: even, at most the head's size. Default: all. */
  readonly rotaryDim?: number;
  /** The same as a fraction of the head's size. Give one of the two. */
  readonly fraction?: number;
  /** How to reach further than the model was trained: Hugging Face's `rope_scaling`, in camel case. Default: not at all. */
  readonly scaling?: RopeScaling;
}

/** @throws PolyheadError `ROPE_DIM` naming the head's size and what was asked of it. */
function rotaryDimOf({ rotaryDim, fraction }: RopeConfig, headDim: number): number {
  if (rotaryDim !== undefined && fraction !== undefined) {
    throw new PolyheadError("ROPE_DIM", `position.rotaryDim is ${rotaryDim} and position.fraction is ${fraction}; expected one of them`, "leave out one of the two");
  }
  const dim = rotaryDim ?? Math.floor(headDim * (fraction ?? 1));
  if (dim >= 2 && dim <= headDim && dim % 2 === 0) return dim;
  const nearest = Math.max(2, 2 * Math.floor(Math.min(dim, headDim) / 2));
  throw new PolyheadError("ROPE_DIM", `${dim} elements of heads of ${headDim} are to be rotated in pairs; expected an even number from 2 to ${headDim}`, `set position.rotaryDim to ${nearest}, or choose an even head size`);
}

/**
 * Rotary position embedding (Su et al., 2021, arXiv:2104.09864): turns pair i of a query or key at position m by mθᵢ, so
 * that their product depends on the distance alone.
 */
export const rope: PositionPlugin<"rope", "qk", RopeConfig> = definePosition({
  name: "rope",
  sites: ["qk"],
  options: {
    base: { type: "number", default: 10_000, min: 1, doc: "base of the frequencies; larger turns slower" },
    layout: { type: "choice", choices: ["half", "interleaved"], default: "half", doc: "which elements of a head form a pair" },
    rotaryDim: { type: "integer", min: 2, doc: "leading elements of a head to rotate, all if left out" },
    fraction: { type: "number", min: 0, max: 1, doc: "the same as a fraction of the head's size" },
    scaling: { type: "group", options: SCALING, doc: "how to reach further than the model was trained" },
  },
  create: (config: RopeConfig, { headDim, context }) => {
    const { base = 10_000, layout = "half", scaling } = config;
    const rotaryDim = rotaryDimOf(config, headDim);
    if (scaling !== undefined) checkScaling(scaling, rotaryDim);
    const theta = ropeFrequencies({ base, rotaryDim, scaling, context });
    const rotation = { base, layout, rotaryDim, theta };
    const tables = rotaryTables(theta, context);
    const shape = [context, rotaryDim / 2];
    const cos = capture(tables.cos, shape, { name: "rope_cos" });
    const sin = capture(tables.sin, shape, { name: "rope_sin" });
    const hook: QkPairHook = {
      site: "qk",
      form: "pair",
      id: "rope",
      applies: "both",
      layout,
      rotaryDim,
      params: {},
      program: pairMod(({ x0, x1, position, pair }) => {
        const [c, s] = [cos.at(position, pair), sin.at(position, pair)];
        return [x0.mul(c).sub(x1.mul(s)), x0.mul(s).add(x1.mul(c))];
      }),
      reference: (vector, position) => rotate(vector, position, rotation),
      pullback: (_vector, position, _head, gradient) => unrotate(gradient, position, rotation),
    };
    return { hooks: [hook] };
  },
});
