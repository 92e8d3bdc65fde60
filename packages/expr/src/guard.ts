import { conjunctsOf } from "./affine.ts";
import { I32_MAX, I32_MIN } from "./arithmetic.ts";
import type { Expr } from "./expr.ts";
import { type Contents, type Ranges, intervalOf } from "./interval.ts";
import type { Interval } from "./interval-value.ts";
import { type Linear, exactDifference, exactSum, linearForms } from "./linear.ts";
import { type Program, program } from "./program.ts";

/** The intervals of indices, made narrower by the comparisons under which they are read: `q < 8 ? t[q] : 0` reads t below 8. */
export function guarded({ index, when }: { readonly index: Program; readonly when: Program }, ranges: Ranges, contents?: Contents): readonly Interval[] {
  const form = linearForms();
  /** Whether the sum, nothing wrapped, is an i32: then it is the value, and inequalities between sums may be moved about. */
  const isExact = ({ terms, constant }: Linear): boolean => {
    let [lo, hi] = [constant, constant];
    for (const [atom, coefficient] of terms) {
      const [value] = intervalOf(program(index.vars, [atom]), ranges, contents);
      if (!value) return false;
      lo += Math.min(coefficient * value.lo, coefficient * value.hi);
      hi += Math.max(coefficient * value.lo, coefficient * value.hi);
    }
    return lo >= I32_MIN && hi <= I32_MAX;
  };
  const negatives = when.outputs.flatMap((output) => conjunctsOf(output as Expr<"bool">)).flatMap((conjunct) => notPositive(conjunct, form, isExact));
  return intervalOf(index, ranges, contents).map((interval, axis) => {
    const own = index.outputs[axis];
    return own && isExact(form(own)) ? negatives.reduce((narrowed, negative) => narrow(narrowed, form(own), negative), interval) : interval;
  });
}

/** The sums that a comparison says are at most 0; none when it is not one of integers, or they may overflow. */
function notPositive({ op, args }: Expr, form: (node: Expr) => Linear, isExact: (linear: Linear) => boolean): readonly Linear[] {
  const [a, b] = args;
  if ((op !== "le" && op !== "lt" && op !== "eq") || a?.type !== "i32" || !b) return [];
  const [left, right] = [form(a), form(b)];
  if (!isExact(left) || !isExact(right)) return [];
  const { terms, constant } = exactDifference(left, right);
  const apart = { terms, constant: op === "lt" ? constant + 1 : constant };
  return op === "eq" ? [apart, exactDifference(right, left)] : [apart];
}

/** An index that differs by a constant from what is at most 0, or from its opposite. */
function narrow({ lo, hi, nan }: Interval, own: Linear, negative: Linear): Interval {
  const above = exactDifference(own, negative);
  const below = exactSum(own, negative);
  return {
    lo: below.terms.size === 0 ? Math.max(lo, below.constant) : lo,
    hi: above.terms.size === 0 ? Math.min(hi, above.constant) : hi,
    nan,
  };
}
