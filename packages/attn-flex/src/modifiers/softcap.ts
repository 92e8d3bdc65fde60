import { PolyheadError, scalar, scoreMod, type Program, type ScalarCapture } from "@polyhead/core";
import { drawnCurve, type Drawn } from "../drawn.ts";

/**
 * Scores are bent into −cap to cap, `cap · tanh(score / cap)`: Gemma 2, arXiv:2408.00118, §2 ("logit soft-capping"). `cap` is a
 * number, or a scalar capture whose value may be set later; neither is compiled in.
 *
 * @throws PolyheadError `FLEX_EXTENT` for a cap that is not above 0.
 */
export function softcap(cap: number | ScalarCapture): Program & Drawn {
  const held = typeof cap === "number" ? scalar(cap, { name: "cap" }) : cap;
  if (!(held.value > 0)) throw new PolyheadError("FLEX_EXTENT", `cap of softcap is ${String(held.value)}; expected a number above 0`, "Gemma 2 takes 50");
  return drawnCurve(`softcap at ${String(held.value)}`, scoreMod(({ score }) => score.div(held).tanh().mul(held)), { reach: 3 * held.value, height: 1.25 * held.value });
}
