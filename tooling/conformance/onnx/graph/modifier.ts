import { capture, custom, full, maskMod, scoreMod, type Mask, type Program } from "@polyhead/core";
import { variablesOf, type Expr } from "@polyhead/expr";
import { UnsupportedCase } from "../../unsupported.ts";
import { kindOf } from "./element.ts";
import { runGraph } from "./run-graph.ts";
import { subgraph } from "./subgraph.ts";
import { scores, show, type Cell, type Index } from "./value.ts";

/** A subgraph over scores as what kernels take: where its result is −∞ is the mask, all else the modifier. */
export interface Modifier {
  /** A `scoreMod`. */
  readonly program: Program;
  readonly mask: Mask;
}

/** −∞ as a number that kernels read, since a shader has no literal for it. */
const minusInfinity = capture(Float32Array.of(-Infinity), [], { name: "minusInfinity" });

/**
 * Translates a `score_mod` or `prob_mod` attribute for scores of `shape` [B, H, L, S].
 *
 * @throws UnsupportedCase with what the subgraph has that an element-wise modifier cannot be, such as a sum over a row.
 */
export function modifierOf(given: unknown, what: string, shape: readonly number[]): Modifier {
  const graph = subgraph(given, what);
  const result = runGraph(graph, scores(graph.input.type, shape));
  if (show(result.shape) !== show(shape)) throw new UnsupportedCase(`${what} gives ${show(result.shape)}; expected ${show(shape)}`);
  if (kindOf(result.type) !== "float") throw new UnsupportedCase(`${what} gives ${result.type}; expected floats`);
  const cellOf = (score: Expr<"f32">, place: readonly Index[]): Cell => result.at(place, { score, place, apply: (op, operands) => score.owner.apply(op, operands) });
  let allowed: "all" | "by place" | "by score" = "all";
  const program = scoreMod(({ score, b, h, q, kv }) => {
    const { value, masked } = cellOf(score, [b, h, q, kv]);
    if (masked === undefined) return value as Expr<"f32">;
    allowed = variablesOf(masked).includes("score") ? "by score" : "by place";
    return (allowed === "by score" ? score.owner.apply("select", [masked, minusInfinity, value]) : value) as Expr<"f32">;
  });
  // A mask that does not depend on the score is the same for any.
  const seen = (): Program => maskMod(({ b, h, q, kv }) => cellOf(b.owner.apply("f32", [0]) as Expr<"f32">, [b, h, q, kv]).masked!.not());
  return { program, mask: (allowed as string) === "by place" ? custom(seen()) : full() };
}
