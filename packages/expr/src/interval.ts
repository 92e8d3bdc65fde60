import type { Capture } from "./capture.ts";
import { ExprError } from "./errors.ts";
import type { Expr } from "./expr.ts";
import { intervalOp, sameOperandOp } from "./interval-ops.ts";
import { I32_MAX, I32_MIN } from "./arithmetic.ts";
import { ANY_I32, FALSE, TRUE, EITHER, type Interval, rounded, wrapped } from "./interval-value.ts";
import { type Linear, exactDifference, isAtom, linearForms } from "./linear.ts";
import { type Program, topological } from "./program.ts";
import { spanOf } from "./spans.ts";
import type { OpName, ScalarType } from "./types.ts";

/** What a variable may be: a value, or all from the first to the second, both included. */
export type Range = number | boolean | readonly [lo: number, hi: number];

/** A range for every variable. */
export type Ranges = Readonly<Record<string, Range>>;

/** What is known of the numbers in captures, in place of the numbers they hold. */
export type Contents = ReadonlyMap<Capture, Interval>;

/** A program prepared for intervals; see {@link intervalOf}. */
export type IntervalEvaluator = (ranges: Ranges, contents?: Contents) => readonly Interval[];

const compiled = new WeakMap<Program, IntervalEvaluator>();

/**
 * The interval reading: for every output, bounds that hold its value for all variables in their ranges.
 *
 * Sound for the float64 oracle and for f32 with the accuracy that WGSL promises: bounds of f32 are rounded outwards, `nan`
 * tells where NaN may arise. Integers wrap: values that overflow all alike are shifted, a range torn apart by an overflow
 * becomes all of i32. Sums of integers are taken together before they are bounded, so that `q − kv + kv` is `q`.
 *
 * A load is bounded by the numbers its index may reach, in constant time for a run along the last axis; what lies outside
 * the table is the oracle's error and counts for nothing. Captures that are learned, or placeholders, may hold anything
 * unless `contents` says more.
 *
 * @throws ExprError `EXPR_INPUT` on a missing variable, or a range that is not of its type or runs downwards.
 */
export function intervalOf(program: Program, ranges: Ranges, contents?: Contents): readonly Interval[] {
  let run = compiled.get(program);
  if (!run) compiled.set(program, (run = intervalEvaluator(program)));
  return run(ranges, contents);
}

/** Intervals of the nodes so far, and what the call says of captures. */
interface Frame {
  readonly values: Interval[];
  contents: Contents | undefined;
}

type Step = (frame: Frame) => Interval;

/** {@link intervalOf} with the program prepared once, for reading it block by block. */
export function intervalEvaluator(program: Program): IntervalEvaluator {
  const vars = Object.entries(program.vars);
  const names = vars.map(([name]) => name);
  const slots = new Map(topological(program.outputs).flatMap((node) => (node.op === "var" ? [[node, names.indexOf(node.leaf.name ?? "")] as const] : [])));
  const steps: Step[] = [];
  const form = linearForms();
  const slotOf = (node: Expr): number => {
    let slot = slots.get(node);
    if (slot === undefined) {
      const step = stepFor(node, form, slotOf);
      slots.set(node, (slot = vars.length + steps.length));
      steps.push(step);
    }
    return slot;
  };
  const outputs = program.outputs.map(slotOf);
  const frame: Frame = { values: [], contents: undefined };
  return (ranges, contents) => {
    frame.contents = contents;
    for (const [slot, [name, type]] of vars.entries()) frame.values[slot] = given(name, type, ranges[name]);
    for (const [n, step] of steps.entries()) frame.values[vars.length + n] = step(frame);
    return outputs.map((slot) => frame.values[slot] ?? EITHER);
  };
}

/** How a node gets its interval from those of the nodes that `slotOf` asks for. */
function stepFor(node: Expr, form: (node: Expr) => Linear, slotOf: (node: Expr) => number): Step {
  const { op, type, leaf } = node;
  switch (op) {
    case "const": {
      const value = leaf.value ?? NaN;
      const interval = type === "f32" ? rounded(value, value, false) : { lo: value, hi: value, nan: false };
      return () => interval;
    }
    case "var":
      return valueAt(slotOf(node));
    case "load": {
      const { capture } = leaf;
      const index = node.args.map((arg) => valueAt(slotOf(arg)));
      return capture === undefined ? () => EITHER : (frame) => frame.contents?.get(capture) ?? spanOf(capture, index.map((at) => at(frame)));
    }
    default: {
      if (type === "i32" && !isAtom(form(node), node)) return linearStep(form(node), slotOf);
      const [a, b = a, c = a] = node.args.map((arg) => valueAt(slotOf(arg)));
      const [left, right] = node.args;
      const operand = left?.type ?? type;
      const apply = intervalOp(op, operand);
      const same = left === right ? sameOperandOp(op, operand) : undefined;
      if (!a || !b || !c) return () => EITHER;
      if (same) return (frame) => same(a(frame));
      const direct: Step = (frame) => apply(a(frame), b(frame), c(frame));
      const compare = operand === "i32" ? COMPARE[op] : undefined;
      return left && right && compare ? related(compare, form(left), form(right), direct, slotOf) : direct;
    }
  }
}

const valueAt =
  (slot: number): Step =>
  ({ values }) =>
    values[slot] ?? ANY_I32;

/** The sum of a linear form, atoms taken apart. */
function linearStep(linear: Linear, slotOf: (node: Expr) => number): Step {
  const bound = boundsOf(linear, slotOf);
  return (frame) => {
    const { lo, hi } = bound(frame);
    return wrapped(lo, hi);
  };
}

/** A term beyond this is not added up: eight of them still are exact in float64. */
const LARGEST_TERM = 2 ** 50;
const UNBOUNDED: Interval = { lo: -Infinity, hi: Infinity, nan: false };

/** The bounds of a linear form in whole numbers, nothing wrapped. */
function boundsOf({ terms, constant }: Linear, slotOf: (node: Expr) => number): Step {
  const parts = [...terms].map(([node, coefficient]) => ({ at: valueAt(slotOf(node)), coefficient }));
  return (frame) => {
    let [lo, hi] = [constant, constant];
    for (const { at, coefficient } of parts) {
      const value = at(frame);
      const [least, most] = coefficient > 0 ? [value.lo * coefficient, value.hi * coefficient] : [value.hi * coefficient, value.lo * coefficient];
      if (!(least > -LARGEST_TERM && most < LARGEST_TERM)) return UNBOUNDED;
      lo += least;
      hi += most;
    }
    return { lo, hi, nan: false };
  };
}

type Comparison = (difference: Interval) => Interval;

/** Comparisons of a and b, by a − b. */
const COMPARE: Partial<Record<OpName, Comparison>> = {
  lt: ({ lo, hi }) => (hi < 0 ? TRUE : lo >= 0 ? FALSE : EITHER),
  le: ({ lo, hi }) => (hi <= 0 ? TRUE : lo > 0 ? FALSE : EITHER),
  eq: ({ lo, hi }) => (lo === 0 && hi === 0 ? TRUE : lo > 0 || hi < 0 ? FALSE : EITHER),
};

/** Compares integers that have atoms in common by their difference, in which these cancel, as long as neither overflows. */
function related(compare: Comparison, left: Linear, right: Linear, direct: Step, slotOf: (node: Expr) => number): Step {
  if (![...left.terms.keys()].some((atom) => right.terms.has(atom))) return direct;
  const [a, b, apart] = [left, right, exactDifference(left, right)].map((each) => boundsOf(each, slotOf));
  return (frame) => (a && b && apart && isI32(a(frame)) && isI32(b(frame)) ? compare(apart(frame)) : direct(frame));
}

function isI32({ lo, hi }: Interval): boolean {
  return lo >= I32_MIN && hi <= I32_MAX;
}

/** A variable's range as an interval of its type. */
function given(name: string, type: ScalarType, range: Range | undefined): Interval {
  const [lo, hi] = typeof range === "object" ? range : [Number(range), Number(range)];
  const fits = type === "f32" ? lo <= hi : type === "i32" ? lo <= hi && (lo | 0) === lo && (hi | 0) === hi : (lo === 0 || lo === 1) && (hi === lo || hi === 1);
  if (range !== undefined && fits) return type === "f32" ? rounded(lo, hi, false) : { lo, hi, nan: false };
  const shown = typeof range === "object" ? `the range ${range.join(" to ")}` : String(range);
  throw new ExprError("EXPR_INPUT", `variable '${name}' was given ${shown}; expected ${type}, one value or [least, most]`, "pass a range of that type for every variable");
}
