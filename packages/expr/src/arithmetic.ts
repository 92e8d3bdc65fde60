import { erf } from "./erf.ts";
import { OPS, type OpName, type ScalarType } from "./types.ts";

/**
 * What every operator computes: the definition that constant folding and the float64 evaluator share.
 * Booleans are 1 and 0. Integers wrap as WGSL's do; floats are float64.
 */
type Scalar = (a: number, b: number, c: number) => number;

/** The smallest i32. */
export const I32_MIN = -2147483648;
/** The largest i32. */
export const I32_MAX = 2147483647;

type Overloaded = "add" | "sub" | "mul" | "min" | "max" | "neg" | "abs" | "sign";

const INTEGER: Readonly<Record<Overloaded, Scalar>> = {
  add: (a, b) => (a + b) | 0,
  sub: (a, b) => (a - b) | 0,
  mul: (a, b) => Math.imul(a, b),
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  neg: (a) => -a | 0,
  abs: (a) => Math.abs(a) | 0,
  sign: (a) => Math.sign(a),
};

const FLOAT: Readonly<Record<OpName, Scalar>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  neg: (a) => -a,
  abs: (a) => Math.abs(a),
  sign: (a) => Math.sign(a),
  div: (a, b) => a / b,
  // WGSL defines pow through log2 of the base, so a negative base has no value there.
  pow: (a, b) => (a < 0 ? NaN : a ** b),
  exp: (a) => Math.exp(a),
  exp2: (a) => 2 ** a,
  log: (a) => Math.log(a),
  log2: (a) => Math.log2(a),
  sqrt: (a) => Math.sqrt(a),
  rsqrt: (a) => 1 / Math.sqrt(a),
  tanh: (a) => Math.tanh(a),
  sigmoid: (a) => 1 / (1 + Math.exp(-a)),
  erf: (a) => erf(a),
  sin: (a) => Math.sin(a),
  cos: (a) => Math.cos(a),
  floor: (a) => Math.floor(a),
  ceil: (a) => Math.ceil(a),
  round: (a) => roundHalfEven(a),
  idiv: (a, b) => (b === 0 ? a : (a / b) | 0),
  mod: (a, b) => (b === 0 ? 0 : (a % b) | 0),
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  eq: (a, b) => Number(a === b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  not: (a) => 1 - a,
  select: (condition, a, b) => (condition === 0 ? b : a),
  f32: (a) => a,
  i32: (a) => saturate(a),
};

/** The function behind an operator whose operands have type `operand`. */
export function arithmetic(op: OpName, operand: ScalarType): Scalar {
  return operand === "i32" && OPS[op].takes === "number" ? INTEGER[op as Overloaded] : FLOAT[op];
}

/** The unwrapped result of an integer operator, to find out whether it overflowed. */
export function unwrapped(op: OpName, a: number, b: number): number {
  return FLOAT[op](a, b, 0);
}

function roundHalfEven(x: number): number {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/** The largest f32 that is an i32: where WGSL's conversion stops, below the largest i32. */
const I32_MAX_OF_F32 = 2147483520;

function saturate(x: number): number {
  if (Number.isNaN(x)) return 0;
  return Math.trunc(Math.min(I32_MAX_OF_F32, Math.max(I32_MIN, x))) | 0;
}
