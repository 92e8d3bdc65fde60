import { Builder } from "./builder.ts";
import { ExprError } from "./errors.ts";
import type { BoolLike, Expr, Like, NumberLike } from "./expr.ts";
import type { Hole } from "./lex.ts";
import { type Check, isReserved, parse } from "./parse.ts";
import { type Program, type Vars, program } from "./program.ts";
import type { ScalarType } from "./types.ts";

/** The variables of a program as expressions for the builder form. */
export type Scope<V extends Vars> = { readonly [Name in keyof V]: Expr<V[Name]> };

/** A front end: a tagged template, or a function that builds with the variables it is handed. */
export interface Frontend<V extends Vars, Out> {
  (strings: TemplateStringsArray, ...holes: Hole[]): Program;
  (build: (scope: Scope<V>) => Out): Program;
}

/**
 * A front end over variables of one's own.
 *
 * ```ts
 * const swish = formula({ x: "f32" })`x * sigmoid(x)`;
 * const same  = formula({ x: "f32" })(({ x }) => x.mul(x.sigmoid()));   // equal keys
 * ```
 * Templates know + - * / (real) % (integer) comparisons && || ! ?: and the functions abs sign min max clamp pow exp exp2
 * log log2 sqrt rsqrt tanh sigmoid erf sin cos floor ceil round idiv select(whenFalse, whenTrue, condition) f32 i32;
 * `name = expression;` defines a name, commas separate several outputs, `//` starts a comment.
 *
 * @throws ExprError when the expression is refused; templates show the place with a caret.
 */
export function formula<const V extends Vars>(vars: V): Frontend<V, Like | readonly Like[]> {
  return frontend<V, Like | readonly Like[]>(vars, (_, outputs) => outputs);
}

const MASK = { b: "i32", h: "i32", q: "i32", kv: "i32" } as const;
const SCORE = { score: "f32", b: "i32", h: "i32", q: "i32", kv: "i32" } as const;
const PAIR = { x0: "f32", x1: "f32", position: "i32", pair: "i32", head: "i32" } as const;

/** The variables of a mask: batch, query head, global query and key positions. */
export type MaskVars = typeof MASK;
/** The variables of a score modifier: the scaled score, and those of a mask. */
export type ScoreVars = typeof SCORE;
/** The variables of a pair rotation: two components, the global position, the pair's number in its head, the head. */
export type PairVars = typeof PAIR;

/** A score modifier, `score, b, h, q, kv → f32`, applied after scaling and before the mask. */
export const scoreMod: Frontend<ScoreVars, NumberLike> = frontend(SCORE, (builder, outputs) => exactly("scoreMod", 1, outputs).map((output) => toFloat("scoreMod", builder, output)));

/** A mask, `b, h, q, kv → bool`: whether query `q` sees key `kv`. */
export const maskMod: Frontend<MaskVars, BoolLike> = frontend(MASK, (_, outputs) => {
  const [mask] = exactly("maskMod", 1, outputs);
  if (mask?.type === "bool") return [mask];
  throw new ExprError("EXPR_TYPE", `maskMod gave ${mask?.type ?? "nothing"}; expected bool`, "compare with something, for example … > 0");
});

/** A map of component pairs, `x0, x1, position, pair, head → [f32, f32]`: rotations of queries and keys. */
export const pairMod: Frontend<PairVars, readonly [NumberLike, NumberLike]> = frontend(PAIR, (builder, outputs) => exactly("pairMod", 2, outputs).map((output) => toFloat("pairMod", builder, output)));

function frontend<const V extends Vars, Out extends Like | readonly Like[]>(vars: V, check: Check): Frontend<V, Out> {
  for (const name of Object.keys(vars)) {
    if (/^[A-Za-z_]\w*$/.test(name) && !isReserved(name)) continue;
    throw new ExprError("EXPR_NAME", `variable '${name}' cannot be written in a template; expected letters, digits and _ that do not begin with a digit`, "rename it");
  }
  return (first: TemplateStringsArray | ((scope: Scope<V>) => Out), ...holes: Hole[]): Program => {
    const builder = new Builder();
    const names = new Map(Object.entries<ScalarType>(vars).map(([name, type]) => [name, builder.variable(name, type)]));
    if (typeof first !== "function") return program(vars, parse(builder, names, first, holes, check));
    const built: Like | readonly Like[] = first(Object.fromEntries(names) as Scope<V>);
    const outputs = Array.isArray(built) ? (built as readonly Like[]) : [built as Like];
    return program(vars, check(builder, outputs.map((output) => builder.lift(output))));
  };
}

function exactly(what: string, count: number, outputs: readonly Expr[]): readonly Expr[] {
  if (outputs.length === count) return outputs;
  throw new ExprError("EXPR_TYPE", `${what} gave ${outputs.length} outputs; expected ${count}`, count === 1 ? "give one expression" : "separate the outputs by ','");
}

function toFloat(what: string, builder: Builder, output: Expr): Expr {
  if (output.type === "bool") throw new ExprError("EXPR_TYPE", `${what} gave bool; expected f32`, "choose numbers with ?:, or use maskMod");
  return builder.apply("f32", [output]);
}
