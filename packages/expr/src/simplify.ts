import type { Expr, ExprOwner } from "./expr.ts";
import type { OpName, ScalarType } from "./types.ts";

/** What a rewrite may build with. */
interface Rewriter extends ExprOwner {
  constant(value: number | boolean, type?: ScalarType): Expr;
}

/**
 * A smaller expression of the same value, or undefined. Operands are typed, and not all constant.
 *
 * A rewrite must keep every value, NaN, infinities and the sign of zero included: `0·x`, `x − x` and `x + 0` stand as
 * they are in f32, and only integers, which have none of these, are rewritten further.
 */
export function simplify(build: Rewriter, op: OpName, args: readonly Expr[]): Expr | undefined {
  const [x, y, z] = args as [Expr, Expr, Expr];
  const integer = x.type === "i32";
  switch (op) {
    case "add":
      if (isConstant(x)) return build.apply("add", [y, x]);
      if (is(y, integer ? 0 : -0)) return x;
      // Wrapping addition is associative.
      if (integer && isConstant(y) && x.op === "add" && isConstant(x.args[1])) {
        return build.apply("add", [x.args[0]!, build.constant((value(x.args[1]) + value(y)) | 0, "i32")]);
      }
      return undefined;
    case "sub":
      if (is(y, 0)) return x;
      if (!integer) return undefined;
      if (x === y) return build.constant(0, "i32");
      if (is(x, 0)) return build.apply("neg", [y]);
      return isConstant(y) ? build.apply("add", [x, build.constant(-value(y) | 0, "i32")]) : undefined;
    case "mul":
      if (isConstant(x)) return build.apply("mul", [y, x]);
      if (is(y, 1)) return x;
      return integer && is(y, 0) ? y : undefined;
    case "div":
      if (is(y, 1)) return x;
      return isConstant(y) && isExactReciprocal(value(y)) ? build.apply("mul", [x, build.constant(1 / value(y), "f32")]) : undefined;
    case "idiv":
      return is(y, 1) ? x : undefined;
    case "mod":
      return is(y, 1) ? build.constant(0, "i32") : undefined;
    case "pow":
      return isConstant(y) && Number.isInteger(value(y)) ? integerPower(build, x, value(y)) : undefined;
    case "neg":
      return x.op === "neg" ? x.args[0] : undefined;
    case "min":
    case "max":
      return x === y ? x : undefined;
    case "abs":
    case "floor":
    case "ceil":
    case "round":
    case "sign":
      return x.op === op && !(op === "abs" && integer) ? x : undefined;
    case "eq":
      if (x.type === "bool") return booleanEquality(build, x, y);
      if (isConstant(x)) return build.apply("eq", [y, x]);
      return integer && x === y ? build.constant(true) : undefined;
    case "lt":
      return x === y ? build.constant(false) : undefined;
    case "le":
      return integer && x === y ? build.constant(true) : undefined;
    case "not":
      return negation(build, x);
    case "and":
    case "or": {
      const absorbing = op === "or" ? 1 : 0;
      if (isConstant(x)) return value(x) === absorbing ? x : y;
      if (isConstant(y)) return value(y) === absorbing ? y : x;
      return x === y ? x : undefined;
    }
    case "select":
      if (isConstant(x)) return value(x) === 0 ? z : y;
      if (y === z) return y;
      return x.op === "not" ? build.apply("select", [x.args[0]!, z, y]) : undefined;
    default:
      return undefined;
  }
}

/** `not` of an integer comparison is the other comparison; of a float one it is not, since NaN fails both. */
function negation(build: Rewriter, x: Expr): Expr | undefined {
  if (x.op === "not") return x.args[0];
  const [a, b] = x.args;
  if (a?.type !== "i32" || b === undefined) return undefined;
  if (x.op === "lt") return build.apply("le", [b, a]);
  return x.op === "le" ? build.apply("lt", [b, a]) : undefined;
}

function booleanEquality(build: Rewriter, x: Expr, y: Expr): Expr | undefined {
  if (x === y) return build.constant(true);
  if (isConstant(x)) return value(x) === 1 ? y : build.apply("not", [y]);
  if (isConstant(y)) return value(y) === 1 ? x : build.apply("not", [x]);
  return undefined;
}

/** xⁿ by repeated squaring: this is the definition of `pow` with a constant whole exponent, for bases of any sign. */
function integerPower(build: Rewriter, x: Expr, n: number): Expr {
  if (n === 0) return build.constant(1, "f32");
  if (n < 0) return build.apply("div", [build.constant(1, "f32"), integerPower(build, x, -n)]);
  let power: Expr | undefined;
  let square = x;
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) power = power ? build.apply("mul", [power, square]) : square;
    if (rest > 1) square = build.apply("mul", [square, square]);
  }
  return power ?? x;
}

/** Powers of two whose reciprocal is also a normal f32: multiplying by it rounds exactly as dividing does. */
function isExactReciprocal(divisor: number): boolean {
  const exponent = Math.log2(Math.abs(divisor));
  return Number.isInteger(exponent) && Math.abs(exponent) <= 126 && 2 ** exponent === Math.abs(divisor);
}

function isConstant(x: Expr | undefined): boolean {
  return x?.op === "const";
}

function is(x: Expr, wanted: number): boolean {
  return x.op === "const" && Object.is(x.leaf.value, wanted);
}

function value(x: Expr | undefined): number {
  return x?.leaf.value ?? NaN;
}
