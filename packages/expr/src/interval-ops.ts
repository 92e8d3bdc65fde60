import { arithmetic } from "./arithmetic.ts";
import { erf } from "./erf.ts";
import { neighbour } from "./f32.ts";
import { ANY_F32, ANY_I32, EITHER, FALSE, TRUE, hull, rounded, wrapped, type Interval } from "./interval-value.ts";
import { OPS, type OpName, type ScalarType } from "./types.ts";

/** What an operator makes of intervals: an interval that holds its value for any operands in them. */
export type IntervalOp = (a: Interval, b: Interval, c: Interval) => Interval;

type Overloaded = "add" | "sub" | "mul" | "min" | "max" | "neg" | "abs" | "sign";

const INTEGER: Readonly<Record<Overloaded, IntervalOp>> = {
  add: (a, b) => wrapped(a.lo + b.lo, a.hi + b.hi),
  sub: (a, b) => wrapped(a.lo - b.hi, a.hi - b.lo),
  mul: (a, b) => corners(a, b, (x, y) => x * y, wrapped),
  neg: (a) => wrapped(-a.hi, -a.lo),
  abs: (a) => wrapped(distanceFromZero(a), Math.max(-a.lo, a.hi)),
  min: (a, b) => ({ lo: Math.min(a.lo, b.lo), hi: Math.min(a.hi, b.hi), nan: false }),
  max: (a, b) => ({ lo: Math.max(a.lo, b.lo), hi: Math.max(a.hi, b.hi), nan: false }),
  sign: (a) => ({ lo: Math.sign(a.lo), hi: Math.sign(a.hi), nan: false }),
};

/** One unit in the last place of an f32, relative to the number. */
const ULP = 2 ** -23;

/*
 * Bounds of f32 hold the float64 oracle and any shader that keeps WGSL's promises on accuracy. All bounds are f32 numbers
 * themselves, so products of two are exact in float64; sums are looked at.
 */
const FLOAT: Readonly<Record<OpName, IntervalOp>> = {
  add: (a, b) => sum(a, b),
  sub: (a, b) => sum(a, negative(b)),
  mul: (a, b) => {
    const clash = (isInfinite(a) && hasZero(b)) || (isInfinite(b) && hasZero(a));
    return corners(a, b, (x, y) => (x === 0 || y === 0 ? 0 : x * y), (lo, hi) => rounded(lo, hi, a.nan || b.nan || clash));
  },
  // WGSL promises 2.5 units for divisors between 2⁻¹²⁶ and 2¹²⁶ only.
  div: (a, b) => {
    if (hasZero(b) || !(magnitude(b) <= 2 ** 126)) return ANY_F32;
    return corners(a, b, (x, y) => x / y, (lo, hi) => spread(lo, hi, 3 * ULP, a.nan || b.nan));
  },
  neg: (a) => negative(a),
  abs: (a) => ({ lo: distanceFromZero(a), hi: magnitude(a), nan: a.nan }),
  sign: (a) => ({ lo: Math.sign(a.lo), hi: Math.sign(a.hi), nan: a.nan }),
  // Where one operand is NaN a driver may return the other.
  min: (a, b) => ({ lo: Math.min(a.lo, b.lo), hi: Math.max(Math.min(a.hi, b.hi), a.nan ? b.hi : -Infinity, b.nan ? a.hi : -Infinity), nan: a.nan || b.nan }),
  max: (a, b) => ({ lo: Math.min(Math.max(a.lo, b.lo), a.nan ? b.lo : Infinity, b.nan ? a.lo : Infinity), hi: Math.max(a.hi, b.hi), nan: a.nan || b.nan }),
  floor: (a) => ({ lo: Math.floor(a.lo), hi: Math.floor(a.hi), nan: a.nan }),
  ceil: (a) => ({ lo: Math.ceil(a.lo), hi: Math.ceil(a.hi), nan: a.nan }),
  round: (a) => ({ lo: nearestWhole(a.lo), hi: nearestWhole(a.hi), nan: a.nan }),

  // exp is cut off at 88.72 in shaders, so its lower bound does not pass the value there; exp2 likewise.
  exp: (a) => exponential(a, 88.72, Math.exp),
  exp2: (a) => exponential(a, 127.99, (x) => 2 ** x),
  log: (a) => logarithm(a, Math.log),
  log2: (a) => logarithm(a, Math.log2),
  sqrt: (a) => (a.hi < 0 ? ANY_F32 : spread(Math.sqrt(Math.max(a.lo, 0)), Math.sqrt(a.hi), 6 * ULP, a.nan || a.lo < 0)),
  rsqrt: (a) => (a.lo <= 0 ? ANY_F32 : spread(1 / Math.sqrt(a.hi), 1 / Math.sqrt(a.lo), 3 * ULP, a.nan)),
  pow: (a, b) => power(a, b),
  tanh: (a) => within(-1, 1, spread(Math.tanh(a.lo), Math.tanh(a.hi), 8 * ULP, a.nan)),
  erf: (a) => within(-1, 1, spread(erf(a.lo), erf(a.hi), 8 * ULP, a.nan)),
  // Cut off at −87 in shaders.
  sigmoid: (a) => within(0, 1, spread(logistic(a.lo), logistic(Math.max(a.hi, -87)), (8 + 2 * Math.min(magnitude(a), 89)) * ULP, a.nan)),
  sin: (a) => wave(a, Math.sin, Math.PI / 2),
  cos: (a) => wave(a, Math.cos, 0),

  idiv: (a, b) => quotient(a, b),
  mod: (a, b) => remainder(a, b),
  lt: (a, b) => compared(a.hi < b.lo, a.lo >= b.hi, a, b),
  le: (a, b) => compared(a.hi <= b.lo, a.lo > b.hi, a, b),
  eq: (a, b) => compared(a.lo === a.hi && b.lo === b.hi && a.lo === b.lo, a.hi < b.lo || b.hi < a.lo, a, b),
  and: (a, b) => condition(a.lo & b.lo, a.hi & b.hi),
  or: (a, b) => condition(a.lo | b.lo, a.hi | b.hi),
  not: (a) => condition(1 - a.hi, 1 - a.lo),
  select: (when, a, b) => (when.lo === 1 ? a : when.hi === 0 ? b : hull(a, b)),
  f32: (a) => rounded(a.lo, a.hi, false),
  // What a NaN becomes is up to the driver.
  i32: (a) => (a.nan ? ANY_I32 : { lo: asInteger(a.lo, 0, 0), hi: asInteger(a.hi, 0, 0), nan: false }),
};

/** The interval reading of an operator whose operands have type `operand`. */
export function intervalOp(op: OpName, operand: ScalarType): IntervalOp {
  return operand === "i32" && OPS[op].takes === "number" ? INTEGER[op as Overloaded] : FLOAT[op];
}

/** What an operator gives when both operands are one and the same node; undefined where that says nothing more. */
export function sameOperandOp(op: OpName, operand: ScalarType): ((a: Interval) => Interval) | undefined {
  switch (op) {
    case "sub":
      return (a) => ({ lo: 0, hi: 0, nan: operand === "f32" && (a.nan || isInfinite(a)) });
    case "mul":
      if (operand === "i32") return (a) => wrapped(distanceFromZero(a) ** 2, magnitude(a) ** 2);
      return (a) => rounded(distanceFromZero(a) ** 2, magnitude(a) ** 2, a.nan);
    case "le":
    case "eq":
      return (a) => (a.nan ? EITHER : TRUE);
    default:
      return undefined;
  }
}

/** The range of a function that is monotone in each operand, from its values at the corners; corners of ∞ − ∞ kind are left out. */
function corners(a: Interval, b: Interval, f: (x: number, y: number) => number, make: (lo: number, hi: number) => Interval): Interval {
  let lo = Infinity;
  let hi = -Infinity;
  for (const value of [f(a.lo, b.lo), f(a.lo, b.hi), f(a.hi, b.lo), f(a.hi, b.hi)]) {
    if (value < lo) lo = value;
    if (value > hi) hi = value;
  }
  return make(lo, hi);
}

function sum(a: Interval, b: Interval): Interval {
  const clash = (a.hi === Infinity && b.lo === -Infinity) || (a.lo === -Infinity && b.hi === Infinity);
  return rounded(sumBound(a.lo, b.lo, -1), sumBound(a.hi, b.hi, 1), a.nan || b.nan || clash);
}

/** A sum of two bounds; where float64 lost digits of it, the next f32, since a shader may round either way. */
function sumBound(x: number, y: number, direction: 1 | -1): number {
  const total = x + y;
  if (Number.isNaN(total)) return direction * Infinity;
  const exact = (total - x === y && total - y === x) || !Number.isFinite(total);
  return exact ? total : neighbour(Math.fround(total), direction);
}

/** Bounds with a relative error of the function between them. */
function spread(lo: number, hi: number, relative: number, nan: boolean): Interval {
  return rounded(lo - Math.abs(lo) * relative, hi + Math.abs(hi) * relative, nan);
}

/** A number ≥ 0, less or more a relative error that may be as large as itself. */
function lessened(x: number, relative: number): number {
  return relative < 1 ? x * (1 - relative) : 0;
}
function enlarged(x: number, relative: number): number {
  return x === 0 ? 0 : x * (1 + relative);
}

/** 3 + 2|x| units of error. */
function exponential(a: Interval, cutoff: number, f: (x: number) => number): Interval {
  const relative = (x: number): number => (3 + 2 * Math.abs(x)) * ULP;
  const lo = Math.min(a.lo, cutoff);
  return rounded(lessened(f(lo), relative(lo)), enlarged(f(a.hi), relative(a.hi)), a.nan);
}

function within(least: number, most: number, { lo, hi, nan }: Interval): Interval {
  return { lo: Math.max(lo, least), hi: Math.min(hi, most), nan };
}

/** 2⁻²¹ of absolute error near one, three units elsewhere. */
function logarithm(a: Interval, log: (x: number) => number): Interval {
  if (a.hi <= 0) return ANY_F32;
  const error = (y: number): number => 2 ** -20 + Math.abs(y) * 3 * ULP;
  const [lo, hi] = [log(Math.max(a.lo, 0)), log(a.hi)];
  return rounded(Number.isFinite(lo) ? lo - error(lo) : lo, Number.isFinite(hi) ? hi + error(hi) : hi, a.nan || a.lo < 0);
}

/**
 * WGSL computes exp2(b · log2(a)), and inherits the errors of all three. A zero or infinite base may give NaN there, and
 * −0 to a negative odd power is −∞ to the oracle.
 */
function power(a: Interval, b: Interval): Interval {
  if (a.hi < 0 || (a.lo <= 0 && b.lo < 0)) return ANY_F32;
  if (a.lo <= 0 || isInfinite(a) || isInfinite(b)) return { lo: 0, hi: Infinity, nan: true };
  const exponent = corners(a, b, (x, y) => y * Math.log2(x), (lo, hi) => ({ lo, hi, nan: false }));
  const relative = 2 ** -20 * (1 + magnitude(exponent) + magnitude(b));
  return corners(a, b, (x, y) => x ** y, (lo, hi) => rounded(lessened(lo, relative), enlarged(hi, relative), a.nan || b.nan));
}

/** A sine whose first crest is at `crest`. */
function wave(a: Interval, f: (x: number) => number, crest: number): Interval {
  const nan = a.nan || isInfinite(a);
  if (!(magnitude(a) < 100_000)) return { lo: -1, hi: 1, nan };
  const passes = (x: number): boolean => Math.floor((a.hi - x) / (2 * Math.PI)) >= Math.ceil((a.lo - x) / (2 * Math.PI));
  const hi = passes(crest) ? 1 : Math.max(f(a.lo), f(a.hi));
  const lo = passes(crest + Math.PI) ? -1 : Math.min(f(a.lo), f(a.hi));
  return within(-1, 1, rounded(lo - 1e-6, hi + 1e-6, nan));
}

/** Division towards zero is monotone in each operand as long as the divisor keeps its sign; x idiv 0 is x. */
function quotient(a: Interval, b: Interval): Interval {
  const parts: Interval[] = [];
  const by = (lo: number, hi: number): void => {
    if (lo <= hi) parts.push(corners(a, { lo, hi, nan: false }, (x, y) => Math.trunc(x / y), wrapped));
  };
  by(b.lo, Math.min(b.hi, -1));
  if (hasZero(b)) parts.push(a);
  by(Math.max(b.lo, 1), b.hi);
  return parts.reduce(hull);
}

/** The remainder has the sign of the dividend, and is smaller than the divisor and no larger than the dividend. */
function remainder(a: Interval, b: Interval): Interval {
  const divisor = b.lo;
  if (b.lo === b.hi && divisor !== 0 && (a.lo >= 0 || a.hi <= 0) && Math.trunc(a.lo / divisor) === Math.trunc(a.hi / divisor)) {
    return { lo: (a.lo % divisor) + 0, hi: (a.hi % divisor) + 0, nan: false };
  }
  const most = Math.max(magnitude(b) - 1, 0);
  return { lo: Math.max(-most, Math.min(a.lo, 0)) + 0, hi: Math.min(most, Math.max(a.hi, 0)), nan: false };
}

/** A comparison with NaN is false. */
function compared(always: boolean, never: boolean, a: Interval, b: Interval): Interval {
  if (never) return FALSE;
  return always && !a.nan && !b.nan ? TRUE : EITHER;
}

function condition(lo: number, hi: number): Interval {
  return lo === hi ? (lo === 0 ? FALSE : TRUE) : EITHER;
}

const nearestWhole = (x: number): number => arithmetic("round", "f32")(x, 0, 0);
const asInteger = arithmetic("i32", "f32");
const logistic = (x: number): number => 1 / (1 + Math.exp(-x));

function negative({ lo, hi, nan }: Interval): Interval {
  return { lo: -hi + 0, hi: -lo + 0, nan };
}

function magnitude({ lo, hi }: Interval): number {
  return Math.max(-lo, hi);
}

function distanceFromZero({ lo, hi }: Interval): number {
  return Math.max(lo, -hi, 0);
}

function hasZero({ lo, hi }: Interval): boolean {
  return lo <= 0 && hi >= 0;
}

function isInfinite({ lo, hi }: Interval): boolean {
  return lo === -Infinity || hi === Infinity;
}
