import type { Capture } from "./capture.ts";
import type { NodeKind, OpName, ScalarType } from "./types.ts";

/** What the builder's methods accept beside an expression: a literal, or a 0-d capture by itself. */
export type Like<T extends ScalarType = ScalarType> =
  | Expr<T>
  | ("bool" extends T ? boolean : never)
  | ("f32" extends T ? number | Capture : "i32" extends T ? number | Capture : never);

/** An expression whose value is a number, f32 or i32. */
export type NumberExpr = Expr<"f32" | "i32">;
/** A number, or anything that lifts to one. */
export type NumberLike = NumberExpr | number | Capture;
/** A truth value, or anything that lifts to one. */
export type BoolLike = Expr<"bool"> | boolean;

/** What an expression needs of the table that owns it. */
export interface ExprOwner {
  apply(op: OpName, args: readonly Like[]): Expr;
}

/** What a leaf carries: the number of a constant (booleans as 0 and 1), the name of a variable, the table of a load. */
export interface Leaf {
  readonly value?: number;
  readonly name?: string;
  readonly capture?: Capture;
}

/**
 * One node of an expression: an immutable value in a graph where equal subexpressions of one builder are one object.
 *
 * The methods are the typed builder. Numbers mix freely: an i32 beside an f32 becomes f32, and `div` is always real
 * division (`idiv` and `mod` are the integer ones). Booleans never become numbers unless asked (`.f32()`, `.i32()`).
 */
export class Expr<out T extends ScalarType = ScalarType> {
  readonly kind = "expr" as const;
  readonly owner: ExprOwner;
  readonly op: NodeKind;
  readonly type: T;
  readonly args: readonly Expr[];
  readonly leaf: Leaf;

  constructor(owner: ExprOwner, op: NodeKind, type: T, args: readonly Expr[], leaf: Leaf) {
    this.owner = owner;
    this.op = op;
    this.type = type;
    this.args = args;
    this.leaf = leaf;
    Object.freeze(this);
  }

  add(this: NumberExpr, other: NumberLike): NumberExpr {
    return number(this.owner, "add", this, other);
  }
  sub(this: NumberExpr, other: NumberLike): NumberExpr {
    return number(this.owner, "sub", this, other);
  }
  mul(this: NumberExpr, other: NumberLike): NumberExpr {
    return number(this.owner, "mul", this, other);
  }
  /** Real division, of integers too. */
  div(this: NumberExpr, other: NumberLike): Expr<"f32"> {
    return float(this.owner, "div", this, other);
  }
  /** Integer division towards zero. As in WGSL, `x idiv 0` is `x` and the smallest i32 by −1 is itself. */
  idiv(this: NumberExpr, other: NumberLike): Expr<"i32"> {
    return this.owner.apply("idiv", [this, other]) as Expr<"i32">;
  }
  /** Integer remainder with the sign of the dividend. As in WGSL, `x mod 0` is 0. */
  mod(this: NumberExpr, other: NumberLike): Expr<"i32"> {
    return this.owner.apply("mod", [this, other]) as Expr<"i32">;
  }
  neg(this: NumberExpr): NumberExpr {
    return number(this.owner, "neg", this);
  }
  abs(this: NumberExpr): NumberExpr {
    return number(this.owner, "abs", this);
  }
  sign(this: NumberExpr): NumberExpr {
    return number(this.owner, "sign", this);
  }
  /** The smaller. At a tie the derivative follows the receiver. */
  min(this: NumberExpr, other: NumberLike): NumberExpr {
    return number(this.owner, "min", this, other);
  }
  /** The larger. At a tie the derivative follows the receiver. */
  max(this: NumberExpr, other: NumberLike): NumberExpr {
    return number(this.owner, "max", this, other);
  }
  /** `min(max(this, low), high)`, so `high` wins when the bounds cross; the derivative at a bound is 1. */
  clamp(this: NumberExpr, low: NumberLike, high: NumberLike): NumberExpr {
    return this.max(low).min(high);
  }

  /** Power. A constant integer exponent takes any base; otherwise a negative base gives NaN, as in WGSL. */
  pow(this: NumberExpr, exponent: NumberLike): Expr<"f32"> {
    return float(this.owner, "pow", this, exponent);
  }
  exp(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "exp", this);
  }
  exp2(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "exp2", this);
  }
  log(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "log", this);
  }
  log2(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "log2", this);
  }
  sqrt(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "sqrt", this);
  }
  rsqrt(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "rsqrt", this);
  }
  tanh(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "tanh", this);
  }
  sigmoid(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "sigmoid", this);
  }
  /** The error function, 2/√π ∫₀ˣ exp(−t²) dt. */
  erf(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "erf", this);
  }
  sin(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "sin", this);
  }
  cos(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "cos", this);
  }
  floor(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "floor", this);
  }
  ceil(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "ceil", this);
  }
  /** To the nearest whole number, halves to the even one. */
  round(this: NumberExpr): Expr<"f32"> {
    return float(this.owner, "round", this);
  }

  lt(this: NumberExpr, other: NumberLike): Expr<"bool"> {
    return bool(this.owner, "lt", this, other);
  }
  le(this: NumberExpr, other: NumberLike): Expr<"bool"> {
    return bool(this.owner, "le", this, other);
  }
  gt(this: NumberExpr, other: NumberLike): Expr<"bool"> {
    return bool(this.owner, "lt", other, this);
  }
  ge(this: NumberExpr, other: NumberLike): Expr<"bool"> {
    return bool(this.owner, "le", other, this);
  }
  eq(other: Like): Expr<"bool"> {
    return bool(this.owner, "eq", this, other);
  }
  ne(other: Like): Expr<"bool"> {
    return bool(this.owner, "eq", this, other).not();
  }

  and(this: Expr<"bool">, other: BoolLike): Expr<"bool"> {
    return bool(this.owner, "and", this, other);
  }
  or(this: Expr<"bool">, other: BoolLike): Expr<"bool"> {
    return bool(this.owner, "or", this, other);
  }
  not(this: Expr<"bool">): Expr<"bool"> {
    return bool(this.owner, "not", this);
  }
  /** `this ? whenTrue : whenFalse`. */
  where(this: Expr<"bool">, whenTrue: NumberLike, whenFalse: NumberLike): NumberExpr {
    return number(this.owner, "select", this, whenTrue, whenFalse);
  }

  /** As f32: an i32 rounds to the nearest, a boolean becomes 1 or 0. */
  f32(): Expr<"f32"> {
    return float(this.owner, "f32", this);
  }
  /** As i32: an f32 is cut towards zero and saturates at the ends of the range, a boolean becomes 1 or 0. */
  i32(): Expr<"i32"> {
    return this.owner.apply("i32", [this]) as Expr<"i32">;
  }
}

function number(owner: ExprOwner, op: OpName, ...args: Like[]): NumberExpr {
  return owner.apply(op, args) as NumberExpr;
}

function float(owner: ExprOwner, op: OpName, ...args: Like[]): Expr<"f32"> {
  return owner.apply(op, args) as Expr<"f32">;
}

function bool(owner: ExprOwner, op: OpName, ...args: Like[]): Expr<"bool"> {
  return owner.apply(op, args) as Expr<"bool">;
}
