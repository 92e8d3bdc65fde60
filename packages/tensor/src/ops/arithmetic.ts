import { formula } from "@polyhead/expr";
import type { Scalar } from "@polyhead/gpu";
import type { Tensor } from "../tensor.ts";
import { map } from "./map.ts";

/** A tensor, or a number, live or not, that stands for every element. */
export type Operand = Tensor | Scalar;

const pair = formula({ a: "f32", b: "f32" });
const single = formula({ x: "f32" });

const programs = {
  add: pair`a + b`,
  sub: pair`a - b`,
  mul: pair`a * b`,
  div: pair`a / b`,
  maximum: pair`max(a, b)`,
  minimum: pair`min(a, b)`,
  neg: single`-x`,
  exp: single`exp(x)`,
  log: single`log(x)`,
  sqrt: single`sqrt(x)`,
  square: single`x * x`,
  abs: single`abs(x)`,
  tanh: single`tanh(x)`,
  sigmoid: single`sigmoid(x)`,
};

/** `a + b`; shapes broadcast, as in all functions of two operands here. */
export const add = (a: Operand, b: Operand): Tensor => map(programs.add, { a, b });
/** `a − b`. */
export const sub = (a: Operand, b: Operand): Tensor => map(programs.sub, { a, b });
/** `a · b`, element by element. */
export const mul = (a: Operand, b: Operand): Tensor => map(programs.mul, { a, b });
/** `a / b`. */
export const div = (a: Operand, b: Operand): Tensor => map(programs.div, { a, b });
/** The larger; at a tie the gradient goes to `a`. */
export const maximum = (a: Operand, b: Operand): Tensor => map(programs.maximum, { a, b });
/** The smaller; at a tie the gradient goes to `a`. */
export const minimum = (a: Operand, b: Operand): Tensor => map(programs.minimum, { a, b });
/** `x · factor`. */
export const scale = (x: Tensor, factor: Scalar): Tensor => map(programs.mul, { a: x, b: factor });
/** `x + term`. */
export const addScalar = (x: Tensor, term: Scalar): Tensor => map(programs.add, { a: x, b: term });
/** `−x`. */
export const neg = (x: Tensor): Tensor => map(programs.neg, { x });
/** `eˣ`; saturates at the largest f32 instead of becoming infinite. */
export const exp = (x: Tensor): Tensor => map(programs.exp, { x });
/** Natural logarithm. */
export const log = (x: Tensor): Tensor => map(programs.log, { x });
/** `√x`. */
export const sqrt = (x: Tensor): Tensor => map(programs.sqrt, { x });
/** `x²`. */
export const square = (x: Tensor): Tensor => map(programs.square, { x });
/** `|x|`, with slope 0 at 0. */
export const abs = (x: Tensor): Tensor => map(programs.abs, { x });
/** Hyperbolic tangent. */
export const tanh = (x: Tensor): Tensor => map(programs.tanh, { x });
/** `1 / (1 + e⁻ˣ)`. */
export const sigmoid = (x: Tensor): Tensor => map(programs.sigmoid, { x });
