import { Builder } from "./builder.ts";
import type { Capture } from "./capture.ts";
import { ExprError } from "./errors.ts";
import type { Expr, NumberExpr } from "./expr.ts";
import { type Program, program, topological, unknownName, variablesOf } from "./program.ts";
import type { OpName } from "./types.ts";

/** A derivative known to be zero everywhere. Kept apart from the expression 0, so that `0·∞` never arises from it. */
type Slope = NumberExpr | undefined;

/**
 * Symbolic derivative of every output by one f32 variable, as a program of the same variables. Its nodes share those of
 * the original, so `join(p, derivative(p, "x"))` computes common parts once.
 *
 * Differentiation runs forwards, so a choice stays outermost: `x > 0 ? log(x) : 0` has the derivative `x > 0 ? 1/x : 0`,
 * never `0/0`. Where a function has no derivative, one is chosen: abs is flat at 0; min and max follow their first
 * argument at a tie, so clamp has slope 1 at its bounds, `max(0, x)` slope 0 at 0, and `max(x, 0)` slope 1; floor, ceil,
 * round, sign, conversions to i32 and comparisons are flat everywhere, jumps included.
 *
 * @throws ExprError `EXPR_NAME` on a name that is not a variable, `EXPR_TYPE` when it is not f32 or an output is bool,
 * `EXPR_CONSTANT` when a constant slope is no finite f32, as in `x * 1e30 * 1e30`.
 */
export function derivative(target: Program, wrt: string): Program {
  const type = target.vars[wrt];
  if (type === undefined) throw unknownName(wrt, Object.keys(target.vars));
  if (type !== "f32") throw new ExprError("EXPR_TYPE", `variable '${wrt}' is ${type}; a derivative is by an f32 variable`, "differentiate by an f32 variable, or convert inside the program");
  return differentiate(target, (node) => node.op === "var" && node.leaf.name === wrt);
}

/** How a program's outputs depend on one place where a learned capture is read. */
export interface LoadSite {
  readonly capture: Capture;
  /** The capture's position in `captures` of the program that was differentiated. */
  readonly slot: number;
  /** The indices read, one i32 output an axis. */
  readonly index: Program;
  /** The variables that the index depends on: what decides how a kernel accumulates the gradient. */
  readonly indexVars: readonly string[];
  /** The derivative of every output by the element read. */
  readonly derivative: Program;
}

/**
 * The derivative by every distinct load of a learned capture; the capture's gradient is the sum over sites and points.
 * Sites on which no output depends smoothly are left out.
 *
 * @throws ExprError `EXPR_TYPE` when an output is bool.
 */
export function captureDerivatives(target: Program): readonly LoadSite[] {
  return topological(target.outputs).flatMap((site) => {
    const { capture } = site.leaf;
    if (!capture?.learned) return [];
    if (slopes(target, (node) => node === site).every((slope) => slope === undefined)) return [];
    return {
      capture,
      slot: target.captures.indexOf(capture),
      index: program(target.vars, site.args),
      indexVars: variablesOf(...site.args),
      derivative: differentiate(target, (node) => node === site),
    };
  });
}

function differentiate(target: Program, seed: (node: Expr) => boolean): Program {
  const builder = Builder.of(target.outputs);
  return program(target.vars, slopes(target, seed).map((slope) => slope ?? builder.constant(0, "f32")));
}

function slopes(target: Program, seed: (node: Expr) => boolean): readonly Slope[] {
  if (target.outputs.some(({ type }) => type === "bool")) {
    throw new ExprError("EXPR_TYPE", "an output is bool; only numbers have a derivative", "differentiate the score, not the mask");
  }
  const builder = Builder.of(target.outputs);
  const known = new Map<Expr, Slope>();
  for (const node of topological(target.outputs)) known.set(node, slopeOf(builder, node, seed, known));
  return target.outputs.map((output) => known.get(output));
}

function slopeOf(builder: Builder, node: Expr, seed: (node: Expr) => boolean, known: ReadonlyMap<Expr, Slope>): Slope {
  if (seed(node)) return builder.constant(1, "f32") as NumberExpr;
  if (node.type !== "f32" || node.op === "var" || node.op === "const" || node.op === "load") return undefined;
  const parts = node.args.map((arg) => known.get(arg));
  if (parts.every((part) => part === undefined)) return undefined;
  return RULES[node.op]({ y: node as NumberExpr, args: node.args as Operands, slopes: parts });
}

type Operands = readonly [NumberExpr, NumberExpr, NumberExpr];

interface Site {
  /** The node itself, whose value many rules reuse. */
  readonly y: NumberExpr;
  readonly args: Operands;
  readonly slopes: readonly Slope[];
}

type Rule = (site: Site) => Slope;

/** A one-argument rule: y′ = f(x, y) · x′. */
const chain =
  (local: (x: NumberExpr, y: NumberExpr) => NumberExpr): Rule =>
  ({ y, args: [x], slopes: [dx] }) =>
    dx?.mul(local(x, y));

const flat: Rule = () => undefined;

const choose =
  (first: (a: NumberExpr, b: NumberExpr) => Expr<"bool">): Rule =>
  ({ args: [a, b], slopes: [da, db] }) =>
    first(a, b).where(da ?? 0, db ?? 0).f32();

const RULES: Readonly<Record<OpName, Rule>> = {
  add: ({ slopes: [da, db] }) => sum(da, db),
  sub: ({ slopes: [da, db] }) => (da && db ? da.sub(db) : (da ?? db?.neg())),
  mul: ({ args: [a, b], slopes: [da, db] }) => sum(da?.mul(b), db?.mul(a)),
  div: ({ y, args: [, b], slopes: [da, db] }) => sum(da?.div(b), db?.mul(y.div(b)).neg()),
  neg: ({ slopes: [dx] }) => dx?.neg(),
  abs: chain((x) => x.sign()),
  min: choose((a, b) => a.le(b)),
  max: choose((a, b) => b.le(a)),
  pow: ({ y, args: [a, b], slopes: [da, db] }) =>
    // At a base of 0 the power is flat in the exponent, while y·log(a) would be 0·∞.
    sum(da?.mul(b.mul(a.pow(b.sub(1)))), db && a.gt(0).where(db.mul(y.mul(a.log())), 0)),
  exp: chain((_, y) => y),
  exp2: chain((_, y) => y.mul(Math.LN2)),
  log: ({ args: [x], slopes: [dx] }) => dx?.div(x),
  log2: ({ args: [x], slopes: [dx] }) => dx?.div(x.mul(Math.LN2)),
  sqrt: ({ y, slopes: [dx] }) => dx?.mul(0.5).div(y),
  rsqrt: chain((_, y) => y.mul(y).mul(y).mul(-0.5)),
  tanh: chain((_, y) => one(y).sub(y.mul(y))),
  sigmoid: chain((_, y) => y.mul(one(y).sub(y))),
  erf: chain((x) => x.mul(x).neg().exp().mul(2 / Math.sqrt(Math.PI))),
  sin: chain((x) => x.cos()),
  cos: chain((x) => x.sin().neg()),
  select: ({ args: [condition], slopes: [, da, db] }) => (condition as Expr as Expr<"bool">).where(da ?? 0, db ?? 0).f32(),
  sign: flat,
  floor: flat,
  ceil: flat,
  round: flat,
  f32: flat,
  i32: flat,
  idiv: flat,
  mod: flat,
  lt: flat,
  le: flat,
  eq: flat,
  and: flat,
  or: flat,
  not: flat,
};

function sum(a: Slope, b: Slope): Slope {
  return a && b ? a.add(b) : (a ?? b);
}

function one(like: NumberExpr): NumberExpr {
  return Builder.of([like]).constant(1, "f32") as NumberExpr;
}
