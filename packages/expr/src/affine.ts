import { I32_MAX, I32_MIN } from "./arithmetic.ts";
import { ExprError } from "./errors.ts";
import type { Expr } from "./expr.ts";
import { type Linear, constantForm, exactDifference, exactSum, linearForms } from "./linear.ts";
import { type Program, program } from "./program.ts";

/** A bound on keys that moves with the query or stands still: `kv` against `q · {0, 1} + offset`, the bound included. */
export interface KeyBound {
  readonly q: 0 | 1;
  readonly offset: number;
}

/** A mask taken apart: a cell is allowed when it keeps every bound and `rest` holds. */
export interface AffineConjuncts {
  /** `kv ≥ q · {0, 1} + offset`, each. */
  readonly lower: readonly KeyBound[];
  /** `kv ≤ q · {0, 1} + offset`, each. */
  readonly upper: readonly KeyBound[];
  /** What the bounds do not say, over the same variables; undefined when they say it all. */
  readonly rest: Program | undefined;
}

/** Positions are taken to lie from 0 up to here, excluded, and offsets to stay within it: no bound overflows an i32. */
const FAR = 2 ** 30;

type Forms = (node: Expr) => Linear;
type Bound = { readonly side: "lower" | "upper" } & KeyBound;

/**
 * Reads off a condition of `q` and `kv` the ranges of keys that it allows, for kernels that walk only these.
 *
 * Split are conjunctions, and refused disjunctions. Bounds are comparisons of integers linear in q and kv whose difference
 * has coefficients of −1, 0 or 1 (`kv <= q`, `q - kv < 128`, `!(kv < 4)`, `kv == q`), and of the abs, max or min of such
 * where it means a conjunction (`abs(q - kv) <= 8`). All else is left in `rest`, as is what may overflow for positions
 * below 2³⁰.
 *
 * @throws ExprError `EXPR_TYPE` unless the program has one bool output.
 */
export function affineConjuncts(mask: Program): AffineConjuncts {
  const [output] = mask.outputs;
  if (output?.type !== "bool" || mask.outputs.length !== 1) {
    throw new ExprError("EXPR_TYPE", `a program with outputs (${mask.outputs.map(({ type }) => type).join(", ")}) is not one condition; expected (bool)`, "write it with maskMod");
  }
  const form = linearForms();
  const bounds: Bound[] = [];
  const rest: Expr<"bool">[] = [];
  for (const conjunct of conjunctsOf(output as Expr<"bool">)) {
    const found = boundsOf(conjunct, form);
    if (found) bounds.push(...found);
    else rest.push(conjunct);
  }
  const [first, ...more] = rest;
  return {
    lower: only("lower", bounds),
    upper: only("upper", bounds),
    rest: first && program(mask.vars, [more.reduce((all, one) => all.and(one), first)]),
  };
}

function only(side: Bound["side"], bounds: readonly Bound[]): readonly KeyBound[] {
  return bounds.flatMap((bound) => (bound.side === side ? [{ q: bound.q, offset: bound.offset }] : []));
}

/** The conditions that must all hold; a constant `true` is none. */
export function conjunctsOf(condition: Expr<"bool">): readonly Expr<"bool">[] {
  const [a, b] = condition.args as [Expr<"bool">, Expr<"bool">];
  if (condition.op === "and") return [...conjunctsOf(a), ...conjunctsOf(b)];
  if (condition.op === "not" && a.op === "or") return a.args.flatMap((either) => conjunctsOf((either as Expr<"bool">).not()));
  return condition.op === "const" && condition.leaf.value === 1 ? [] : [condition];
}

function boundsOf({ op, args }: Expr, form: Forms): readonly Bound[] | undefined {
  const [a, b] = args;
  if (a?.type !== "i32" || !b) return undefined;
  const [left, right] = [form(a), form(b)];
  if (op === "le") return atMost(left, right, 0, form);
  if (op === "lt") return atMost(left, right, 1, form);
  if (op !== "eq") return undefined;
  const [below, above] = [atMost(left, right, 0, form), atMost(right, left, 0, form)];
  return below && above && [...below, ...above];
}

/** The bounds that `a + gap ≤ b` amounts to: each form whose greatest is a, against each whose least is b. */
function atMost(a: Linear, b: Linear, gap: 0 | 1, form: Forms): readonly Bound[] | undefined {
  const bounds: Bound[] = [];
  const highest = alternatives(b, "min", form);
  for (const left of alternatives(a, "max", form)) {
    for (const right of highest) {
      const { terms, constant } = exactDifference(left, right);
      const bound = fits(left) && fits(right) && boundOf(terms, constant + gap);
      if (!bound) return undefined;
      bounds.push(bound);
    }
  }
  return bounds;
}

/** `a·q + c·kv + d ≤ 0` solved for kv. */
function boundOf(terms: Linear["terms"], d: number): Bound | undefined {
  const of = (name: "q" | "kv"): number => [...terms].find(([{ leaf }]) => leaf.name === name)?.[1] ?? 0;
  const [a, c] = [of("q"), of("kv")];
  if (Math.abs(d) > FAR) return undefined;
  if (c === 1 && (a === 0 || a === -1)) return { side: "upper", q: a === 0 ? 0 : 1, offset: 0 - d };
  if (c === -1 && (a === 0 || a === 1)) return { side: "lower", q: a, offset: d };
  return undefined;
}

/** Forms whose greatest, or least, is the given one: those under an abs, a max or a min, and else itself. */
function alternatives(linear: Linear, extreme: "max" | "min", form: Forms): readonly Linear[] {
  const [atom] = linear.terms.keys();
  const [x, y] = atom?.args ?? [];
  if (!atom || !x || linear.terms.size > 1 || linear.terms.get(atom) !== 1) return [linear];
  // Added in whole numbers: alternatives must not overflow differently from each other.
  const moved = (inner: Linear): readonly Linear[] => alternatives(exactSum(inner, constantForm(linear.constant)), extreme, form);
  if (atom.op === "abs" && extreme === "max" && fits(form(x))) return [...moved(form(x)), ...moved(exactDifference(constantForm(0), form(x)))];
  return atom.op === extreme && y && fits(form(x)) && fits(form(y)) ? [...moved(form(x)), ...moved(form(y))] : [linear];
}

/** Whether a form is of q and kv alone, and does not overflow whatever they are: then it is the value itself. */
function fits({ terms, constant }: Linear): boolean {
  let [lo, hi] = [constant, constant];
  for (const [{ op, leaf }, coefficient] of terms) {
    if (op !== "var" || (leaf.name !== "q" && leaf.name !== "kv")) return false;
    lo += Math.min(coefficient, 0) * (FAR - 1);
    hi += Math.max(coefficient, 0) * (FAR - 1);
  }
  return lo > I32_MIN && hi <= I32_MAX;
}
